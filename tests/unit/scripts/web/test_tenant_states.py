"""Where the list has the states of tenants from, and why pods are not ready."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from components.core.errors import UserError
from scripts.tenants.readiness import MOST_EXPLAINED
from tests.support.factories import settings
from tests.support.page import Site, applied
from tests.support.polling import eventually

NAMES = [f"team{number:02}" for number in range(MOST_EXPLAINED + 1)]
LAST = NAMES[-1]  # the only one that the list does not explain
ELSEWHERE = "its own page has the reasons"


@pytest.fixture
def stack_settings() -> dict[str, Any]:
    return settings(tenants=[{"name": name} for name in NAMES])


@pytest.fixture
def site(make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> Site:
    """A page whose tenants are applied; a warning of each tells why its pods are not ready."""

    def objects(kind: str, namespace: str, _: Mapping[str, str]) -> list[dict[str, Any]]:
        warning = {"reason": "FailedCreate", "message": f"{namespace}: quota", "involvedObject": {"name": "cortex"}}
        return [warning] if kind == "events" else []

    made = make_site()
    made.states = applied(made.stack.parent)
    made.cluster.ready = dict.fromkeys(NAMES, 0) | {"system": 1}
    monkeypatch.setattr(made.cluster, "objects", objects)
    return made


def read(site: Site) -> None:
    """Let the page read states and cluster once."""
    site.page.tenants.start()
    eventually(lambda: site.page.tenants.version > 0, 30)
    site.page.tenants.stop()


def test_the_view_of_a_tenant_has_reasons_that_the_list_has_not(site: Site) -> None:
    read(site)
    browser = site.browser()
    rows = dict(re.findall(r'<tr id="tenant-(\w+)">(.*?)</tr>', browser.get("/"), re.DOTALL))
    assert {name for name, row in rows.items() if ELSEWHERE in row} == {LAST}
    assert f"{NAMES[0]}-tenant: quota" in rows[NAMES[0]] and "quota" not in rows[LAST]
    assert "its reasons are being looked up" in browser.get(f"/tenants/{LAST}")
    state = browser.get(f"/tenants/{LAST}/state")
    assert f"FailedCreate: {LAST}-tenant: quota" in state and "being looked up" not in state


def test_a_cluster_that_does_not_answer_is_told_in_place_of_reasons(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise UserError("the cluster does not answer")

    read(site)
    monkeypatch.setattr(site.cluster, "get", fail)
    browser = site.browser()
    assert "the cluster does not answer" in browser.get(f"/tenants/{LAST}/state")
    assert "the cluster does not answer" not in browser.get(f"/tenants/{NAMES[0]}/state")  # the list has explained it
