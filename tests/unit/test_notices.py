"""What a preview says of tenants that come, change and go."""

from typing import Any

import pulumi
import pytest

from components import notices
from components.headline import headline
from components.tenant_config import TenantSettings, exported

KEPT, PURGED = TenantSettings(), TenantSettings(onDelete="purge")
TENANT = "opstrace:tenant:Tenant"
BUCKET = f"{TENANT}$aws:s3/bucket:Bucket"


@pytest.mark.parametrize(
    ("tenants", "line"),
    [
        ({"add": [], "delete": []}, ""),
        ({"add": ["b", "a"], "change": [], "delete": []}, "2 tenants to add (a, b)"),
        ({"add": ["a"], "change": ["b"], "delete": ["c"]}, "1 tenant to add (a), 1 to change (b), 1 to delete (c)"),
    ],
)
def test_one_line_says_what_becomes_of_tenants(tenants: dict[str, list[str]], line: str) -> None:
    assert headline(**tenants) == line


def state_of(purges: tuple[bool, ...] | None = None, **tenants: TenantSettings | None) -> dict[str, Any]:
    """Return the state of a stack with these tenants; `purges` of the buckets where their settings do not say it."""
    found: dict[str, Any] = {"opstrace:instance:Instance$opstrace:tenant:Tenant::system": {}}
    for name, settings in tenants.items():
        found[f"{TENANT}::tenant-{name}"] = {} if settings is None else {"settings": exported(settings)}
        own = purges or (settings is not None and settings.on_delete == "purge",) * 3
        for kind, purge in zip(("metrics", "config", "logs"), own, strict=True):
            found[f"{BUCKET}::tenant-{name}-{kind}-bucket"] = {"forceDestroy": purge}
    return {
        f"urn:pulumi:stack::project::{urn}": {"type": urn.split("::")[0], "outputs": outputs}
        for urn, outputs in found.items()
    }


def said(
    monkeypatch: pytest.MonkeyPatch, state: dict[str, Any] | Exception, now: dict[str, TenantSettings]
) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    stack = "organization/project/stack"

    def asked(token: str, arguments: dict[str, Any]) -> Any:
        if isinstance(state, Exception):
            raise state
        if token == "pulumi:pulumi:readStackOutputs":
            assert arguments == {"name": stack}
            outputs = {"instance": "stack"} if state else {}
        else:
            assert (token, arguments) == ("pulumi:pulumi:readStackResourceOutputs", {"stackName": stack})
            assert state, "the engine does not bear that"
            outputs = state
        return type("Result", (), {"value": {"outputs": outputs}})

    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    monkeypatch.setattr(pulumi.runtime, "invoke", asked)
    for what in ("organization", "project", "stack"):
        monkeypatch.setattr(pulumi, f"get_{what}", lambda what=what: what)
    for level in ("info", "warn"):
        monkeypatch.setattr(pulumi.log, level, lambda text, level=level: found.append((level, text)))
    monkeypatch.setattr(pulumi.log, "debug", lambda text: None)
    notices.tenants_that_change(now)
    return found


def test_a_first_preview_names_the_tenants(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(monkeypatch, {}, {"a": KEPT}) == [("info", "1 tenant to add (a)")]


def test_nothing_is_said_where_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(monkeypatch, state_of(a=KEPT), {"a": KEPT}) == []


def test_the_fate_of_data_is_what_the_state_has_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "1 tenant to change (a), 2 to delete (b, c)\n  b: its data will be kept: 3 buckets\n"
    text += "  c: its data will be purged: 3 buckets"
    assert said(monkeypatch, state_of(a=KEPT, b=KEPT, c=PURGED), {"a": PURGED}) == [("warn", text)]


@pytest.mark.parametrize(
    ("purges", "level", "words"),
    [
        ((True, True, True), "warn", "purged"),
        ((True, False, False), "warn", "purged in part"),
        ((False, False, False), "info", "kept"),
    ],
)
def test_what_the_buckets_have_counts_and_not_what_the_settings_say(
    monkeypatch: pytest.MonkeyPatch, purges: tuple[bool, ...], level: str, words: str
) -> None:
    """An update that was killed, or a state from before there were settings in it."""
    for settings in (KEPT, PURGED, None):
        found = said(monkeypatch, state_of(purges, a=settings), {})
        assert found == [(level, f"1 tenant to delete (a): its data will be {words}: 3 buckets")]


def test_a_tenant_that_no_update_has_made_all_of_is_to_be_added(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(monkeypatch, state_of(a=None), {"a": PURGED}) == [("info", "1 tenant to add (a)")]


def test_a_backend_that_fails_does_not_hinder_the_update(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(monkeypatch, RuntimeError("unknown stack"), {"a": KEPT}) == []
