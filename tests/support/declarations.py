"""The program's declarations for a representative instance and tenant, as the engine receives them.

`python -m tests.support.declarations` prints it as JSON. `test_declarations.py` compares it with `declarations.json`.
If you change what Pulumi declares, record it again: `python -m tests.support.declarations > tests/unit/components/declarations.json`.
Users see the diff of that file in `pulumi preview`.
"""

import asyncio
import json
import runpy
from typing import TYPE_CHECKING, Any

import pulumi
import pytest
from google.protobuf.json_format import MessageToDict
from pulumi.runtime import mocks, settings
from pulumi.runtime.stack import Stack

from components.core.resource_names import (
    PROJECT,
    STACK_REFERENCE_TYPE,
    STACK_TYPE,
    build_urn,
    child_type,
    qualified_type,
)
from components.core.tags import CONFIG_ANNOTATION
from tests.support.placeholder_keys import placeholder_keys
from tests.support.pulumi_mocks import Recorder, registered
from tests.support.shell import ROOT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

INSTANCE = "showdown"
TENANT = "team"
(OPEN, LIMITED) = placeholder_keys(2).items()
SETTINGS: dict[str, Any] = {
    "domain": "example.com",
    "tenants": [
        {"name": "default"},
        {
            "name": "large",
            "size": "large",
            "alertmanager": {"enabled": True},
            "retention": {"metrics": "90d", "logs": "1y"},
            "limits": {"metrics": {"ingestion_rate": 50000}},
            "onDelete": "purge",
            "protect": True,
            "owner": "a-team",
            "labels": {"team": "a"},
            "tags": {"cost": "1"},
        },
    ],
    "tenantDefaults": {"retention": {"metrics": "30d", "logs": "14d"}},
    "dataApi": {
        "publicKeys": {OPEN[0]: OPEN[1], LIMITED[0]: {"pem": LIMITED[1], "tenants": ["large"]}},
        "allowedCidrs": ["198.51.100.0/24", "203.0.113.0/24"],
        "rates": {"requestsPerSecond": 9, "requestBurst": 30},
    },
    "cluster": {
        "context": "observability",
        "storageClass": "gp3",
        "enforcesNetworkPolicies": True,
        "oidcProviderArn": "arn:aws:iam::123456789012:oidc-provider/issuer.example.com",
        "oidcIssuer": "https://issuer.example.com/id",
        "nodeSecurityGroupId": "sg-1",
        "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["sts.us-west-2.amazonaws.com"]}],
    },
    "loadBalancer": {"vpcId": "vpc-1", "subnetIds": ["subnet-1", "subnet-2"], "autoscalingGroups": ["one", "two"]},
    "aws": {"region": "us-west-2", "parentZoneId": "ZPARENT", "endpoints": {"s3": "https://192.0.2.2"}},
    "tags": {"stage": "test"},
}
TENANT_SETTINGS = {"tenantOf": INSTANCE, "tenant": {"alertmanager": {"enabled": True}, "owner": "b-team"}}

# Fields of a registration that the URN repeats, or that describe the SDK.
IRRELEVANT = {
    *("type", "name", "version", "sourcePosition", "stackTrace", "acceptResources", "acceptSecrets"),
    *("supportsPartialValues", "supportsResultReporting", "supportsAliasSpecs"),
}
# The gateway's Lua and the hash of the configuration that contains it may change: nobody relies on their text.
LUA = "function envoy_on_"


class Program(Recorder):
    """The mocks; a StackReference finds the instance's outputs."""

    def __init__(self, outputs: dict[str, Any]) -> None:
        super().__init__()
        self._outputs = outputs

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        if args.typ == STACK_REFERENCE_TYPE:
            return args.name, dict(args.inputs) | {"outputs": self._outputs, "secretOutputNames": []}
        return super().new_resource(args)


class Monitor(mocks.MockMonitor):
    """Keeps each registration as the SDK sends it to the engine, by the URN that the engine would assign."""

    def __init__(self, program: Program, stack: str) -> None:
        super().__init__(program)
        self.registrations: dict[str, Any] = {}
        self._stack = stack

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """Return the URN with the types of all ancestors, like the engine; the SDK's mock includes only one."""
        above = qualified_type(parent) if parent else STACK_TYPE
        type_ = type_ if above == STACK_TYPE else child_type(above, type_)
        return build_urn(self._stack, type_, name)

    def RegisterResource(self, request: Any) -> Any:
        answer = super().RegisterResource(request)  # type: ignore[no-untyped-call]  # the SDK does not type its mocks
        fields = {name: part for name, part in MessageToDict(request).items() if name not in IRRELEVANT}
        used = fields.pop("propertyDependencies", {})
        fields["propertyDependencies"] = {name: sorted(part["urns"]) for name, part in used.items() if part.get("urns")}
        fields["dependencies"] = sorted(fields.get("dependencies", []))
        assert answer.urn not in self.registrations
        self.registrations[answer.urn] = without_lua(
            {name: part for name, part in fields.items() if part not in ([], {})}
        )
        return answer


def without_lua(value: Any) -> Any:
    """Return `value` with placeholders for the gateway's Lua and for the hash of its configuration."""
    if isinstance(value, dict):
        changed = {name: without_lua(part) for name, part in value.items()}
        return changed | ({CONFIG_ANNOTATION: "(hash)"} if CONFIG_ANNOTATION in value else {})
    if isinstance(value, list):
        return [without_lua(part) for part in value]
    if not isinstance(value, str) or LUA not in value:
        return value
    return json.dumps(without_lua(json.loads(value))) if value.startswith("{") else "(Lua)"


def exports_of(root: Stack) -> pulumi.Output[Any]:
    """Return the exports of a stack."""
    return pulumi.Output.from_input(root.outputs)


def run(stack: str, stack_settings: dict[str, Any], outputs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run the program; return the registrations by URN, and the stack's exports."""
    program = Program(outputs)
    monitor = Monitor(program, stack)
    texts = {
        f"opstrace:{name}": part if isinstance(part, str) else json.dumps(part) for name, part in stack_settings.items()
    }
    exports: dict[str, Any] = {}
    mains: list[Callable[[], Awaitable[Any]]] = []

    def declare() -> pulumi.Output[Any]:
        runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")
        root = settings.get_root_resource()
        assert isinstance(root, Stack)
        (main,) = mains
        outcome: pulumi.Output[Any] = pulumi.Output.from_input(main())
        return outcome.apply(lambda _: exports_of(root)).apply(exports.update)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pulumi.runtime.config, "get_config_env", lambda: texts)
        patch.setattr(pulumi, "run", mains.append)  # the mocks' stack takes no async main
        patch.setattr("pulumi.resource_hooks.register_resource_hook", lambda hook: asyncio.ensure_future(registered()))
        mocks.set_mocks(program, PROJECT, stack, False, None, monitor)
        mocks.test(declare)()  # type: ignore[no-untyped-call]  # the SDK does not type its decorator for tests
    return monitor.registrations, exports


def declarations() -> dict[str, Any]:
    """Return the declarations and exports of two programs: an instance, and a tenant with its own stack."""
    instance, exported = run(INSTANCE, SETTINGS, {})
    tenant, of_tenant = run(f"{INSTANCE}.{TENANT}", TENANT_SETTINGS, exported)
    return {"instance": instance, "instanceOutputs": exported, "tenant": tenant, "tenantOutputs": of_tenant}


if __name__ == "__main__":
    print(json.dumps(declarations(), indent=1, sort_keys=True))
