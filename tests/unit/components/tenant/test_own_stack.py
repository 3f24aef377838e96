"""A tenant in a stack of its own: its configuration, and the outputs of its instance that it reads."""

import json
from types import SimpleNamespace
from typing import Any

import jsonschema
import pulumi
import pytest
from ruamel.yaml import YAML

from components.config.load import TenantStack, from_engine, from_settings, tenant_stack
from components.config.schema import json_schema
from components.core.errors import ConfigError
from components.tenant.base import TenantBase
from components.tenant.own_stack import args_of
from components.tenant.tenant import TenantArgs
from scripts.stackfile.file import STACKS
from tests.support.factories import CLUSTER, settings
from tests.support.pulumi_mocks import run_to_end, tenant_base

WITHOUT_CONTEXT: dict[str, Any] = {
    "instance": "showdown",
    "domain": "showdown.example.com",
    "port": 443,
    "zoneId": "Z1",
    "listenerArn": "arn:listener",
    "entranceDnsName": "lb.example",
    "cluster": {name: value for name, value in CLUSTER.items() if name != "context"},
    "aws": {"region": "us-west-2"},
    "tags": {},
    "tenantDefaults": {},
}
OF_ANOTHER_VERSION = WITHOUT_CONTEXT | {"cluster": {"context": "observability"}}


def test_tenant_of_tells_the_two_kinds_of_stacks_apart() -> None:
    texts = {"opstrace:tenantOf": "showdown", "opstrace:tenant": '{"retention": {"logs": "2d"}}'}
    config = from_engine(texts, "showdown.team")
    assert isinstance(config, TenantStack)
    assert (config.instance, config.tenant, config.settings.retention.logs) == ("showdown", "team", "2d")


@pytest.mark.parametrize(
    ("config", "stack", "problem"),
    [
        ({"tenantOf": "other"}, "showdown.team", "is 'other', but a tenant's stack is named after its instance"),
        ({"tenantOf": "showdown"}, "showdown", "tenant name ''"),
        ({"tenantOf": "showdown"}, "showdown.system", "the instance's own tenant has this name"),
        ({"tenantOf": "showdown", "tenant": {"onDelet": "purge"}}, "showdown.team", "did you mean 'onDelete'?"),
        ({"tenantOf": "showdown", "tenants": []}, "showdown.team", "did you mean 'tenant'?"),
        ({}, "showdown.team", "opstrace:tenantOf: is required"),
    ],
)
def test_what_cannot_be_is_refused(config: dict[str, Any], stack: str, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        tenant_stack(config, stack)
    assert problem in str(refused.value)


def test_what_an_instance_exports_makes_the_same_tenant() -> None:
    config = from_settings(settings(tenantDefaults={"retention": {"metrics": "30d"}, "owner": "a"}), "showdown")
    base = tenant_base(config)
    again = TenantBase.imported(json.loads(json.dumps(base.exported())))
    own = config.settings_of("default")
    assert again == base
    one, other = (TenantArgs(base=entry, tenant="default", settings=own) for entry in (base, again))
    assert (
        one.tags == other.tags == {"opstrace:instance": "showdown", "opstrace:owner": "a", "opstrace:tenant": "default"}
    )
    assert own.with_defaults(again.defaults).owner == "a"


def test_the_schema_knows_both_kinds_of_stack_files() -> None:
    good = {"config": {"opstrace:tenantOf": "showdown", "opstrace:tenant": {"protect": True}}}
    jsonschema.validate(good, json_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"config": {"opstrace:tenantOf": "showdown", "opstrace:domain": "x.y"}}, json_schema())


def test_the_example_is_valid() -> None:
    content = YAML(typ="safe").load((STACKS / "Pulumi.example-aws.team.yaml").read_text())
    jsonschema.validate(content, json_schema())
    values = {name.removeprefix("opstrace:"): value for name, value in content["config"].items()}
    assert tenant_stack(values, "example-aws.team").settings.retention.logs == "30d"


@pytest.mark.parametrize(
    ("outputs", "problem"),
    [
        ({}, "the stack showdown exports nothing for tenants with stacks of their own"),
        (
            {"tenantBase": {"any": "thing"}, "tenants": {"team": {}}},
            "has a tenant team in its own stack; remove it there",
        ),
        (
            {"tenantBase": OF_ANOTHER_VERSION, "tenants": {}},
            r"settings of another version of Opstrace \(oidcProviderArn, .*\); update it first: `pulumi up --stack showdown`",
        ),
        (
            {"tenantBase": WITHOUT_CONTEXT, "tenants": {}},
            r"cluster.context: is required on AWS.*Set it in the stack showdown: `pulumi up --stack showdown` exports it",
        ),
    ],
)
def test_an_instance_that_cannot_be_the_args_of_a_tenant_is_told(
    monkeypatch: pytest.MonkeyPatch, outputs: dict[str, Any], problem: str
) -> None:
    class Reference:
        def __init__(self, name: str, stack_name: str) -> None:
            assert (name, stack_name) == ("showdown", "organization/opstrace/showdown")

        async def get_output_details(self, name: str) -> SimpleNamespace:
            return SimpleNamespace(value=outputs.get(name))

    monkeypatch.setattr(pulumi, "StackReference", Reference)
    monkeypatch.setattr(pulumi, "get_organization", lambda: "organization")
    monkeypatch.setattr(pulumi, "get_project", lambda: "opstrace")
    stack = tenant_stack({"tenantOf": "showdown"}, "showdown.team")
    with pytest.raises(ConfigError, match=problem):
        run_to_end(args_of(stack))
