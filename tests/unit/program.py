"""The program declared against the SDK's mocks: what it would make."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pulumi
import pytest

from components.config import from_settings
from components.instance import Instance, InstanceArgs
from components.tenant import Tenant

Resources = list[pulumi.runtime.MockResourceArgs]


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
        if args.typ == "aws:acm/certificate:Certificate":
            option = {"resourceRecordName": "_a.b.", "resourceRecordType": "CNAME", "resourceRecordValue": "c."}
            state["domainValidationOptions"] = [option]
        return f"{args.name}-id", state

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"the program calls no function, but did {args.token}")


async def _registered() -> None:
    """What the mocks have no place for."""


def record(declare: Callable[[], pulumi.Output[Any]]) -> Resources:
    """Return the resources that `declare` declares, once the output that it returns is there."""
    recorder = Recorder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pulumi.resource_hooks.register_resource_hook", lambda hook: asyncio.ensure_future(_registered()))
        pulumi.runtime.set_mocks(recorder, project="opstrace", stack="showdown")
        pulumi.runtime.test(declare)()  # type: ignore[no-untyped-call]
    return recorder.resources


def declared(given: dict[str, Any], **backends: Any) -> Resources:
    """Return the resources of an instance `showdown` with the settings `given`, and of its tenants.

    `backends` are `TenantArgs`' own.
    """

    def declare() -> pulumi.Output[Any]:
        config = from_settings(given, "showdown")
        instance = Instance("instance", InstanceArgs("showdown", config))
        tenants = [
            Tenant(f"tenant-{entry.name}", replace(instance.tenant_args(entry.name), **backends))
            for entry in config.tenants
        ]
        buckets = [bucket for tenant in tenants for bucket in tenant.buckets.values()]
        return pulumi.Output.all(*buckets, instance.name_servers)

    return record(declare)
