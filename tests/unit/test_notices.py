"""What a preview says of tenants that come, change and go."""

from typing import Any

import pulumi
import pytest

from components import notices
from components.headline import headline
from components.tenant_config import TenantSettings, exported

KEPT, PURGED = TenantSettings(), TenantSettings(onDelete="purge")


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


def said(
    monkeypatch: pytest.MonkeyPatch, before: dict[str, TenantSettings], now: dict[str, TenantSettings]
) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    tenants = {
        name: {"settings": exported(settings), "buckets": dict.fromkeys("abc")} for name, settings in before.items()
    }

    def outputs(token: str, asked: dict[str, Any]) -> Any:
        assert (token, asked) == ("pulumi:pulumi:readStackOutputs", {"name": "organization/project/stack"})
        return type("Result", (), {"value": {"outputs": {"tenants": tenants} if tenants else {}}})

    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    monkeypatch.setattr(pulumi.runtime, "invoke", outputs)
    for what in ("organization", "project", "stack"):
        monkeypatch.setattr(pulumi, f"get_{what}", lambda what=what: what)
    for level in ("info", "warn"):
        monkeypatch.setattr(pulumi.log, level, lambda text, level=level: found.append((level, text)))
    notices.tenants_that_change(now)
    return found


def test_a_first_preview_names_the_tenants(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(monkeypatch, {}, {"a": KEPT}) == [("info", "1 tenant to add (a)")]


def test_nothing_is_said_where_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(monkeypatch, {"a": KEPT, "system": KEPT}, {"a": KEPT}) == []


def test_the_fate_of_data_is_what_the_last_update_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "1 tenant to change (a), 2 to delete (b, c)\n  b: its data will be kept: 3 buckets\n"
    text += "  c: its data will be purged: 3 buckets"
    assert said(monkeypatch, {"a": KEPT, "b": KEPT, "c": PURGED}, {"a": PURGED}) == [("warn", text)]
