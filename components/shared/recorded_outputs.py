"""What the engine's state records of this stack."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import pulumi
import tenacity
from google.protobuf import struct_pb2
from pulumi.runtime import rpc
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import get_monitor

from components.core.errors import HALF_WRITTEN, HALF_WRITTEN_SECONDS
from components.core.names import SYSTEM
from components.core.resource_names import READ_STACK_OUTPUTS, READ_STACK_RESOURCE_OUTPUTS
from components.core.tags import INSTANCE_TAG, TENANT_TAG

OF_FILES = "organization"  # the only one of backends in files and buckets (Pulumi, 'Stacks')


def full_stack_name() -> str:
    """Return the name of this stack with its organization and project."""
    return f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"


def _is_half_written(error: BaseException) -> bool:
    return HALF_WRITTEN.search(str(error)) is not None


@tenacity.retry(
    retry=tenacity.retry_if_exception(_is_half_written),
    stop=tenacity.stop_after_delay(HALF_WRITTEN_SECONDS),
    wait=tenacity.wait_fixed(0.05),
    reraise=True,
)
def read_state(function: str, arguments: Mapping[str, Any]) -> struct_pb2.Struct:
    """Return the outputs in the answer of one of the engine's functions that read a state.

    While the program runs, the engine writes the state of the same stack. A read of half a file is tried again. The SDK's
    `invoke` would convert all values of the state, which takes 4 s and 280 MB for 300 tenants.
    """
    sent = struct_pb2.Struct()
    sent.update(arguments)
    answer = ask_engine(resource_pb2.ResourceInvokeRequest(tok=function, args=sent))
    if answer.failures:
        raise RuntimeError(f"{function} failed: {answer.failures[0].reason}")
    outputs: struct_pb2.Struct = getattr(answer, "return").fields["outputs"].struct_value
    return outputs


def ask_engine(request: resource_pb2.ResourceInvokeRequest) -> Any:
    """Return the engine's answer to the request for one of its own functions."""
    monitor: Any = get_monitor()
    return monitor.Invoke(request)


def _converted(properties: struct_pb2.Struct) -> dict[str, Any]:
    """Return properties as the SDK converts them, secret ones as plain values."""
    values, _ = rpc.deserialize_properties_unwrap_secrets(properties)
    return dict(values or {})


@dataclass(frozen=True)
class RecordedResource:
    """A resource in the engine's state: its type, and its outputs as the engine sends them."""

    type: str
    sent: struct_pb2.Struct

    @cached_property
    def outputs(self) -> Mapping[str, Any]:
        """The outputs, empty where there are none. They are converted at the first use: most are never looked at."""
        return _converted(self.sent)


@cache  # the engine reads the whole state for each call
def recorded_outputs() -> Mapping[str, Any]:
    """Return the outputs of this stack's last update; empty without one.

    The function is the engine's own (pulumi/pkg/resource/deploy/builtins.go, 3.255). It leaves the default provider of the
    package `pulumi` in the state, and nothing else.
    """
    return _converted(read_state(READ_STACK_OUTPUTS, {"name": full_stack_name()}))


@cache
def recorded_resources() -> Mapping[str, RecordedResource]:
    """Return the resources in this stack's state, by URN; none for a stack without outputs."""
    return _resources() if recorded_outputs() else {}


def _resources() -> Mapping[str, RecordedResource]:
    """Read the resources of the state. The function is the engine's own, too; it ends the engine for a stack without any update."""
    found = read_state(READ_STACK_RESOURCE_OUTPUTS, {"stackName": full_stack_name()}).fields
    entries = {urn: entry.struct_value.fields for urn, entry in found.items()}
    return {
        urn: RecordedResource(fields["type"].string_value, fields["outputs"].struct_value)
        for urn, fields in entries.items()
    }


async def state_resources() -> Mapping[str, RecordedResource]:
    """Return the resources in this stack's state, by URN; in an update, also those of a first one that failed."""
    return recorded_resources() if recorded_outputs() else await _of_failed_update()


async def _of_failed_update() -> Mapping[str, RecordedResource]:
    """Return the resources that a first update recorded and that failed, by URN: such a stack has no outputs.

    A preview returns none, because a stack may have no update yet. An update has, in a file or in a bucket: the engine has
    recorded the stack itself once it has a URN. Pulumi's service may do so later, so nothing is read there.
    """
    root = pulumi.runtime.get_root_resource()
    is_recorded = pulumi.get_organization() == OF_FILES and not os.environ.get("PULUMI_SKIP_CHECKPOINTS")
    if pulumi.runtime.is_dry_run() or root is None or not is_recorded:
        return {}
    await root.urn.future()
    return _resources()


def named_by_tags(resources: Mapping[str, RecordedResource]) -> Mapping[str, Any]:
    """Return the instance and the tenants that the tags of resources name, in the form of the stack's outputs."""
    tags = [entry.outputs.get("tags") or {} for entry in resources.values()]
    instances = sorted({entry[INSTANCE_TAG] for entry in tags if INSTANCE_TAG in entry})
    tenants = sorted({entry[TENANT_TAG] for entry in tags if TENANT_TAG in entry} - {SYSTEM})
    return {"instance": instances[0], "tenants": dict.fromkeys(tenants)} if instances else {}
