"""The page on tenant settings describes the effect of each change; the program's declarations confirm it."""

import re
from typing import Any

import pulumi
import pytest
from ruamel.yaml import YAML

from components.config.base import merged
from components.config.load import from_settings, tenant_stack
from components.config.tenant import AlertmanagerSettings, BackendSize, TenantConfig, TenantSettings
from components.core.errors import UserError
from components.core.resource_names import STATEFUL_SET_TYPE
from scripts.tenants.edit import assign
from scripts.tenants.impact import deleted_parts, new_volumes, shorter_retention
from scripts.tenants.recorded_state import Applied, tenants
from scripts.web import settings_form
from tests.support.factories import CLUSTER, settings
from tests.support.pulumi_mocks import declared
from tests.support.shell import ROOT
from tests.support.user_session import blocks

PAGE = ROOT / "docs" / "reference" / "tenant-settings.md"
LIVE, RESTART, OTHER, NEW = "live", "rolling restart", "replica change", "new volumes"
NOT_BACK = "; to revert, remove the protection first"
EXAMPLES: dict[str, Any] = {
    "retention.metrics": "30d",
    "retention.logs": "30d",
    "limits.metrics.*": {"ingestion_rate": 5},
    "limits.logs.*": {"max_line_size": "1KB"},
    "size": "medium",
    "size.replicas": 3,
    "alertmanager.enabled": True,
    "alertmanager.privateReceivers": ["10.1.0.0/16"],
    "logPatterns": False,
    "rulePollInterval": "1m",
    "onDelete": "purge",
    "protect": True,
    "owner": "team-a",
    "labels": {"team": "a"},
    "tags": {"cost": "1"},
    **{
        f"size.{kind}.{part}": value
        for kind in ("metrics", "logs")
        for part, value in {"cpu": "1", "memory": "1Gi", "memoryLimit": "4Gi"}.items()
    },
    "size.metrics.volume": "20Gi",
    "size.logs.volume": "20Gi",
}

ENFORCING = CLUSTER | {"enforcesNetworkPolicies": True}

# Settings without which another setting has no effect.
BASES: dict[str, Any] = {"alertmanager.privateReceivers": {"alertmanager": {"enabled": True}}}
ADDED = {"alertmanager.enabled": {"tenant-default-alertmanager-stateful-set"}}


def table() -> dict[str, str]:
    """Return the documented effect of each setting."""
    _, _, text = PAGE.read_text().partition("| Setting |")
    table_text = text.partition("\n\n")[0]
    rows = re.findall(r"^\| (`.*?) \| .*? \| (.*?) \| .+ \|$", table_text, re.MULTILINE)  # the last is the reason
    return {name: effect for names, effect in rows for name in re.findall(r"`(.*?)`", names)}


def leaves() -> set[str]:
    """Return the paths of all settings."""
    names = {str(field.alias or name) for name, field in TenantConfig.model_fields.items()} - {
        "retention",
        "limits",
        "alertmanager",
    }
    size = {str(field.alias or name) for name, field in BackendSize.model_fields.items()}
    names |= {f"size.{kind}.{part}" for kind in ("metrics", "logs") for part in size} | {"size.replicas"}
    names |= {f"alertmanager.{field.alias}" for field in AlertmanagerSettings.model_fields.values()}
    return names | {"retention.metrics", "retention.logs", "limits.metrics.*", "limits.logs.*"}


def resources(tenant: dict[str, Any]) -> dict[str, pulumi.runtime.MockResourceArgs]:
    """Return the tenant's declared resources, by name."""
    registrations = declared(settings(tenants=[{"name": "default", **tenant}], cluster=ENFORCING))
    return {entry.name: entry for entry in registrations if entry.name.startswith("tenant-default")}


def stateful_sets(tenant_resources: dict[str, pulumi.runtime.MockResourceArgs]) -> dict[str, Any]:
    """Return the inputs of the tenant's StatefulSets, by name."""
    return {name: entry.inputs["spec"] for name, entry in tenant_resources.items() if entry.typ == STATEFUL_SET_TYPE}


def effect(before: dict[str, Any], after: dict[str, Any]) -> str:
    pairs = [(before[name], after[name]) for name in before]
    if any(old["volumeClaimTemplates"] != new["volumeClaimTemplates"] for old, new in pairs):
        return NEW
    if any(old["replicas"] != new["replicas"] for old, new in pairs):
        return OTHER
    return LIVE if all(old == new for old, new in pairs) else RESTART


# Inputs whose change replaces the resource, for all types of resources.
IDENTITY = ("name", "bucket", "zoneId", "listenerArn", "domainName", "byteLength", "role", "url")


def identity(entry: pulumi.runtime.MockResourceArgs) -> dict[str, Any]:
    """Return the inputs whose change would replace this resource."""
    metadata = entry.inputs.get("metadata") or {}
    named = {name: metadata.get(name) for name in ("name", "namespace")}
    return named | {name: entry.inputs.get(name) for name in IDENTITY}


def nested(path: str, value: Any) -> dict[str, Any]:
    for name in reversed(path.removesuffix(".*").split(".")):
        value = {name: value}
    return dict(value)


def test_every_setting_has_its_row_and_every_row_is_a_setting() -> None:
    assert {*table()} == leaves()
    assert {*EXAMPLES} == leaves() - {"name"}


def test_schema_and_form_say_what_the_table_says() -> None:
    described = {field.path: field.effect for field in (settings_form.name_field(), *settings_form.fields())}
    assert {re.sub(r"^(limits\.\w+)\..*", r"\1.*", path): effect for path, effect in described.items()} == table()
    assert {effect for path, effect in described.items() if path.startswith("limits.")} == {LIVE}


@pytest.mark.parametrize("setting", sorted(EXAMPLES))
def test_a_change_does_what_the_table_says(setting: str) -> None:
    base = BASES.get(setting, {})
    all_before, all_after = resources(base), resources(merged(base, nested(setting, EXAMPLES[setting])))
    before, after = stateful_sets(all_before), stateful_sets(all_after)
    assert len(before) == (3 if base else 2)
    assert {*after} ^ {*before} == ADDED.get(setting, set())
    # A revert would delete the resources that only the change creates.
    back = NOT_BACK if {*all_after} - {*all_before} else ""
    assert not {*all_before} - {*all_after}
    assert effect(before, after) + back == table()[setting]
    others = {name for name in all_before if name not in before}
    assert not [name for name in others if identity(all_before[name]) != identity(all_after[name])]


def in_state(tenant: dict[str, Any]) -> tuple[Applied, TenantSettings]:
    """Return a tenant from the state of an update with these settings, and the settings."""
    config = from_settings(settings(tenants=[{"name": "default", **tenant}], cluster=ENFORCING), "showdown")
    tenant_settings = config.settings_of("default")
    state: list[dict[str, Any]] = [
        {"urn": f"urn::{name}", "type": entry.typ, "inputs": entry.inputs} for name, entry in resources(tenant).items()
    ]
    return tenants(state)["default"], tenant_settings


@pytest.mark.parametrize("setting", sorted(EXAMPLES))
def test_the_verbs_know_what_a_change_takes_away(setting: str) -> None:
    base = BASES.get(setting, {})
    before, as_it_was = in_state(base)
    after, changed = in_state(merged(base, nested(setting, EXAMPLES[setting])))
    documented = table()[setting]
    assert bool(new_volumes(before, changed)) == bool(new_volumes(after, as_it_was)) == (documented == NEW)
    assert not deleted_parts(before, changed)
    assert bool(deleted_parts(after, as_it_was)) == documented.endswith(NOT_BACK)
    assert bool(shorter_retention(after, as_it_was)) == setting.startswith("retention.")
    assert not shorter_retention(before, changed)


def test_each_pod_has_the_resources_that_it_was_given() -> None:
    size_of = {
        "metrics": {"cpu": "110m", "memory": "310Mi", "memoryLimit": "1110Mi", "volume": "11Gi"},
        "logs": {"cpu": "220m", "memory": "420Mi", "memoryLimit": "2220Mi", "volume": "22Gi"},
    }
    sets = stateful_sets(resources({"size": size_of}))
    for api, kind in (("cortex", "metrics"), ("loki", "logs")):
        spec, size = sets[f"tenant-default-{api}-stateful-set"], size_of[kind]
        (main,) = (entry for entry in spec["template"]["spec"]["containers"] if entry["name"] == api)
        assert main["resources"]["requests"] == {"cpu": size["cpu"], "memory": size["memory"]}
        assert main["resources"]["limits"]["memory"] == size["memoryLimit"]
        (claim,) = spec["volumeClaimTemplates"]
        assert claim["spec"]["resources"]["requests"] == {"storage": size["volume"]}


def test_pods_restart_one_by_one_and_have_five_minutes_to_write_what_they_hold() -> None:
    for spec in stateful_sets(resources({"size": {"replicas": 3}})).values():
        # Kubernetes' default for a StatefulSet: one pod at a time, and the next pod once this one is ready.
        assert "updateStrategy" not in spec and not spec.get("minReadySeconds")
        assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == 300


@pytest.mark.parametrize(
    "pages", [("reference/tenant-settings.md",), ("how-to/manage-tenants.md", "how-to/tenant-stack.md")]
)
def test_the_files_that_the_pages_on_tenants_show_are_valid_and_say_what_they_say_of_them(
    pages: tuple[str, ...],
) -> None:
    instance, own = (YAML(typ="safe").load(block)["config"] for page in pages for block in blocks(page, "", "yaml"))
    stack_settings = settings(**{name.removeprefix("opstrace:"): value for name, value in instance.items()})
    config = from_settings(stack_settings, "showdown")
    assert config.settings_of("newtenant").retention.model_dump() == {"metrics": "30d", "logs": "7d"}
    assert config.settings_of("system").retention.metrics == "14d"
    alone = tenant_stack({name.removeprefix("opstrace:"): value for name, value in own.items()}, "showdown.team")
    assert alone.settings.with_defaults(config.tenant_defaults).retention.model_dump() == {
        "metrics": "30d",
        "logs": "7d",
    }


def test_the_name_is_refused_by_the_verb() -> None:
    assert table()["name"] == "refused by `set`"
    with pytest.raises(UserError, match="a setting has the form NAME=VALUE"):
        assign({}, "name=other")
