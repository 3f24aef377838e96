"""Which of the engine's states the list reads, what it follows meanwhile, and why pods are not ready."""

import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from components.core.errors import UserError
from scripts.tenants.readiness import MOST_EXPLAINED
from tests.support.factories import settings
from tests.support.page import Engine, Site, applied, deployed
from tests.support.polling import eventually

NAMES = [f"team{number:02}" for number in range(MOST_EXPLAINED + 1)]
LAST = NAMES[-1]  # the only one that the list does not explain
INSTANCE, SHOP, OPS = "showdown", "showdown.shop", "showdown.ops"
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


def test_the_view_of_a_tenant_has_reasons_that_the_list_has_not(site: Site) -> None:
    site.read()
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

    site.read()
    monkeypatch.setattr(site.cluster, "get", fail)
    browser = site.browser()
    assert "the cluster does not answer" in browser.get(f"/tenants/{LAST}/state")
    assert "the cluster does not answer" not in browser.get(f"/tenants/{NAMES[0]}/state")  # the list has explained it


class Stacks:
    """The stacks of the page's engine: when each was updated, which were read, and which cannot be read."""

    def __init__(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        self.updated = dict.fromkeys((INSTANCE, SHOP, OPS, "showdown2"), "2026-11-30T13:11:02.000Z")
        self.read: list[str] = []
        self.failing: set[str] = set()
        self.may_answer = threading.Event()
        self.may_answer.set()
        site.states |= {stack: deployed(stack, stack.rpartition(".")[2], {}) for stack in (SHOP, OPS)}

        def state(engine: Engine) -> list[dict[str, Any]]:
            self.may_answer.wait(60)
            self.read.append(engine.instance)
            if engine.instance in self.failing:
                raise UserError("the state cannot be read")
            return site.states[engine.instance]

        monkeypatch.setattr(Engine, "last_updates", lambda _: self.updated)
        monkeypatch.setattr(Engine, "state", state)

    def newly_read(self) -> list[str]:
        """Return the stacks that were read since the last call."""
        found, self.read = sorted(self.read), []
        return found


@pytest.fixture
def stacks(site: Site, monkeypatch: pytest.MonkeyPatch) -> Stacks:
    return Stacks(site, monkeypatch)


def test_a_state_is_read_again_after_an_update_of_its_stack(
    site: Site, stacks: Stacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.web.data.states.STATES_SECONDS", -1)  # each look is due
    states = site.page.tenants.states
    states.read()
    assert stacks.newly_read() == [INSTANCE, OPS, SHOP]
    states.read()
    assert stacks.newly_read() == []
    stacks.updated[SHOP] = "2026-11-30T13:12:00.000Z"
    site.states[SHOP] = []
    states.read()
    assert stacks.newly_read() == [SHOP]
    assert states.deployed is not None and {"ops", LAST} < {*states.deployed} and "shop" not in states.deployed
    del stacks.updated[OPS]
    states.read()
    assert stacks.newly_read() == [] and "ops" not in states.deployed
    stacks.updated[SHOP] = ""  # as a backend that does not tell the time
    states.read()
    states.read()
    assert stacks.newly_read() == [SHOP, SHOP]


def test_a_change_of_the_page_reads_its_stack_and_refresh_reads_all(site: Site, stacks: Stacks) -> None:
    site.page.tenants.states.read()
    stacks.newly_read()
    site.page.tenants.states.read()  # not due
    assert stacks.newly_read() == []
    site.page.tenants.states.refresh(SHOP)
    site.page.tenants.states.read()
    assert stacks.newly_read() == [SHOP]
    site.browser().post("/refresh", 204)
    site.page.tenants.states.read()
    assert stacks.newly_read() == [INSTANCE, OPS, SHOP]


def test_after_a_failure_only_missing_states_are_read(site: Site, stacks: Stacks) -> None:
    stacks.failing = {OPS}
    site.page.tenants.states.read()
    assert stacks.newly_read() == [INSTANCE, OPS, SHOP]
    assert site.page.tenants.error == "the state cannot be read" and site.page.tenants.applied_at is None
    stacks.failing = set()
    site.page.tenants.states.read()
    assert stacks.newly_read() == [OPS] and site.page.tenants.error is None and site.page.tenants.applied_at


def test_pods_are_followed_while_states_are_read(site: Site, stacks: Stacks) -> None:
    stacks.may_answer.clear()
    browser = site.browser()
    site.page.tenants.start()
    try:
        eventually(lambda: "cortex 0 of 1 ready" in browser.get("/"), 60)  # their namespaces are there
        assert "The states are being read." in browser.get("/")
        site.cluster.ready[NAMES[0]] = 1
        with site.page.tenants.watched():
            eventually(lambda: browser.get("/").count(">ready<") == 2, 60)
        assert site.page.tenants.applied_at is None
        stacks.may_answer.set()
        eventually(lambda: site.page.tenants.applied_at is not None, 60)
    finally:
        stacks.may_answer.set()
        site.page.tenants.stop()
