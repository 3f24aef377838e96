"""The program run against the SDK's mocks, which record the resources that it declares."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import pulumi
import pytest
from pulumi.runtime import resource

from components.config.load import from_settings
from components.config.stack import StackConfig
from components.core.resource_names import CERTIFICATE_TYPE, READ_STACK_OUTPUTS, tenant_name
from components.core.tags import INSTANCE_TAG
from components.instance.instance import Instance, InstanceArgs
from components.tenant.base import TenantBase
from components.tenant.tenant import Tenant

Resources = list[pulumi.runtime.MockResourceArgs]
T = TypeVar("T")


class Recorder(pulumi.runtime.Mocks):
    def __init__(self) -> None:
        self.resources: Resources = []

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.resources.append(args)
        state = dict(args.inputs) | {
            "arn": f"arn:{args.name}",
            "dnsName": "lb.example",
            "zoneId": args.inputs.get("zoneId", "Z1"),
            "nameServers": ["ns-1.example"],
            "hex": "0a0b0c0d",
        }
        if args.typ == CERTIFICATE_TYPE:
            option = {"resourceRecordName": "_a.b.", "resourceRecordType": "CNAME", "resourceRecordValue": "c."}
            state["domainValidationOptions"] = [option]
        return f"{args.name}-id", state

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        if args.token == READ_STACK_OUTPUTS:  # of an update before the first
            return {"outputs": {}}, []
        raise AssertionError(f"the program calls no other function, but did {args.token}")


def run_to_end(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine, which runs in its own event loop.

    `asyncio.run` would also take away the current event loop, in which the mocks work.
    """
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


def unchanged_sdk(patch: pytest.MonkeyPatch) -> None:
    """Put back at the end of `patch` what `run_program` replaces in the SDK, for the tests that follow."""
    patch.setattr(pulumi.log, "debug", pulumi.log.debug)
    patch.setattr(resource, "_get_stack_trace", resource._get_stack_trace)


async def registered() -> None:
    """Stand in for the registration of a resource hook, which the mocks do not support."""


def record(declare: Callable[[], pulumi.Output[Any]]) -> Resources:
    """Return the resources that `declare` declares, after the output that it returns is resolved."""
    recorder = Recorder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pulumi.resource_hooks.register_resource_hook", lambda hook: asyncio.ensure_future(registered()))
        pulumi.runtime.set_mocks(recorder, project="opstrace", stack="showdown")
        pulumi.runtime.test(declare)()  # type: ignore[no-untyped-call]  # the SDK does not type its decorator for tests
    return recorder.resources


def declared(settings: dict[str, Any], **backends: Any) -> Resources:
    """Return the resources of the instance `showdown` with these settings, and of its tenants.

    `backends` are back-end arguments of `TenantArgs`.
    """

    def declare() -> pulumi.Output[Any]:
        config = from_settings(settings, "showdown")
        instance = Instance("instance", InstanceArgs(instance="showdown", config=config))
        tenants = [
            Tenant(tenant_name(entry.name), replace(instance.tenant_args(entry.name), **backends))
            for entry in config.tenants
        ]
        buckets = [bucket for tenant in tenants for bucket in tenant.buckets.values()]
        return pulumi.Output.all(*buckets, instance.name_servers)

    return record(declare)


def tenant_base(config: StackConfig) -> TenantBase:
    """Return the facts of the instance `showdown` with this configuration, as its tenants get them."""
    return TenantBase(
        instance="showdown",
        domain="showdown.example.com",
        port=443,
        zone_id="Z1",
        listener_arn="arn:listener",
        entrance_dns_name="lb.example",
        cluster=config.cluster,
        aws=config.aws,
        tags={INSTANCE_TAG: "showdown"},
        defaults=config.tenant_defaults,
        platform=config.platform,
    )
