"""A tenant's own stack: its configuration, and what it needs of its instance."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import jsonschema
import pulumi
import pytest
from ruamel.yaml import YAML

import components.tenant_stack
from components.config import TenantStack, from_engine, from_settings, json_schema, tenant_stack
from components.errors import ConfigError
from components.tenant_base import TenantBase
from components.tenant_stack import base_of
from scripts.stackfile import STACKS
from tests.unit.given import settings


def test_tenant_of_tells_the_two_kinds_of_stacks_apart() -> None:
    texts = {"opstrace:tenantOf": "showdown", "opstrace:tenant": '{"retention": {"logs": "2d"}}'}
    found = from_engine(texts, "showdown.team")
    assert isinstance(found, TenantStack)
    assert (found.instance, found.tenant, found.settings.retention.logs) == ("showdown", "team", "2d")


@pytest.mark.parametrize(
    ("given", "stack", "said"),
    [
        ({"tenantOf": "other"}, "showdown.team", "is 'other', but a tenant's stack is named after its instance"),
        ({"tenantOf": "showdown"}, "showdown", "tenant name ''"),
        ({"tenantOf": "showdown"}, "showdown.system", "it is the instance's own tenant"),
        ({"tenantOf": "showdown", "tenant": {"onDelet": "purge"}}, "showdown.team", "did you mean 'onDelete'?"),
        ({"tenantOf": "showdown", "tenants": []}, "showdown.team", "did you mean 'tenant'?"),
        ({}, "showdown.team", "opstrace:tenantOf: is required"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], stack: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        tenant_stack(given, stack)
    assert said in str(refused.value)


def test_what_an_instance_exports_makes_the_same_tenant() -> None:
    config = from_settings(settings(tenantDefaults={"retention": {"metrics": "30d"}, "owner": "a"}), "showdown")
    base = TenantBase(
        "showdown",
        "showdown.example.com",
        443,
        "Z1",
        "arn:listener",
        "lb.example",
        config.cluster,
        config.aws,
        {"opstrace:instance": "showdown"},
        config.tenant_defaults,
    )
    again = TenantBase.imported(json.loads(json.dumps(base.exported())))
    own = config.settings_of("default")
    assert again.tenant_args("default", own) == base.tenant_args("default", own)
    assert own.upon(again.defaults).owner == "a"


def test_the_schema_knows_both_kinds_of_stack_files() -> None:
    good = {"config": {"opstrace:tenantOf": "showdown", "opstrace:tenant": {"protect": True}}}
    jsonschema.validate(good, json_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"config": {"opstrace:tenantOf": "showdown", "opstrace:domain": "x.y"}}, json_schema())


def test_the_example_is_valid() -> None:
    content = YAML(typ="safe").load((STACKS / "Pulumi.example-aws.team.yaml").read_text())
    jsonschema.validate(content, json_schema())
    found = {name.removeprefix("opstrace:"): value for name, value in content["config"].items()}
    assert tenant_stack(found, "example-aws.team").settings.retention.logs == "30d"


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ({}, "the stack showdown exports nothing for tenants with stacks of their own"),
        (
            {"tenantBase": {"any": "thing"}, "tenants": {"team": {}}},
            "has a tenant team in its own stack; remove it there",
        ),
    ],
)
def test_an_instance_that_cannot_be_the_base_of_a_tenant_is_told(
    monkeypatch: pytest.MonkeyPatch, outputs: dict[str, Any], said: str
) -> None:
    class Reference:
        def __init__(self, name: str, stack_name: str) -> None:
            assert (name, stack_name) == ("showdown", "organization/opstrace/showdown")

        async def get_output_details(self, name: str) -> SimpleNamespace:
            return SimpleNamespace(value=outputs.get(name))

    monkeypatch.setattr(pulumi, "StackReference", Reference)
    monkeypatch.setattr(pulumi, "get_organization", lambda: "organization")
    monkeypatch.setattr(pulumi, "get_project", lambda: "opstrace")
    monkeypatch.setattr(components.tenant_stack, "_sync_await", asyncio.run)
    stack = tenant_stack({"tenantOf": "showdown"}, "showdown.team")
    with pytest.raises(ConfigError, match=said):
        base_of(stack)
