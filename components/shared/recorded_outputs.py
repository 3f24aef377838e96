"""What the engine's state records of this stack."""

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

import pulumi
import tenacity

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
def read_state(function: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the answer of one of the engine's functions that read a state.

    While the program runs, the engine writes the state of the same stack. A read of half a file is tried again.
    """
    return dict(pulumi.runtime.invoke(function, arguments).value or {})


@cache  # the engine reads the whole state for each call
def recorded_outputs() -> Mapping[str, Any]:
    """Return the outputs of this stack's last update; empty without one.

    The function is the engine's own (pulumi/pkg/resource/deploy/builtins.go, 3.255). It leaves the default provider of the
    package `pulumi` in the state, and nothing else.
    """
    return dict(read_state(READ_STACK_OUTPUTS, {"name": full_stack_name()}).get("outputs") or {})


@cache
def recorded_resources() -> Mapping[str, Any]:
    """Return the type and the outputs of each resource in this stack's state, by URN; none for a stack without outputs."""
    return _resources() if recorded_outputs() else {}


def _resources() -> Mapping[str, Any]:
    """Read the resources of the state. The function is the engine's own, too; it ends the engine for a stack without any update."""
    return dict(read_state(READ_STACK_RESOURCE_OUTPUTS, {"stackName": full_stack_name()})["outputs"])


async def recorded_by_tags() -> Mapping[str, Any]:
    """Return the instance and the tenants that the tags of recorded resources name, in the form of the stack's outputs.

    A first update that failed has recorded resources, but no outputs. A preview returns nothing, because a stack may have no
    update yet. An update has, in a file or in a bucket: the engine has recorded the stack itself once it has a URN. Pulumi's
    service may do so later, so nothing is read there.
    """
    root = pulumi.runtime.get_root_resource()
    is_recorded = pulumi.get_organization() == OF_FILES and not os.environ.get("PULUMI_SKIP_CHECKPOINTS")
    if pulumi.runtime.is_dry_run() or root is None or not is_recorded:
        return {}
    await root.urn.future()
    tags = [(entry["outputs"] or {}).get("tags") or {} for entry in _resources().values()]
    instances = sorted({entry[INSTANCE_TAG] for entry in tags if INSTANCE_TAG in entry})
    tenants = sorted({entry[TENANT_TAG] for entry in tags if TENANT_TAG in entry} - {SYSTEM})
    return {"instance": instances[0], "tenants": dict.fromkeys(tenants)} if instances else {}
