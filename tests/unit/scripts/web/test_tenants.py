"""The list of tenants, and one tenant: what a browser sees of files, states and the cluster."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from ruamel.yaml import YAML
from starlette.testclient import TestClient

from components.core.errors import UserError
from components.core.public_keys import key_id
from components.core.resource_names import TENANT_TYPE
from scripts.stackfile.file import StackFile
from scripts.tokens.issued import record
from scripts.tokens.signing import Grant
from scripts.web.fault import FAULT
from scripts.web.page import TEMPLATES
from scripts.web.rounds import Rounds
from tests.support.factories import KEY, settings
from tests.support.page import URL, Site, asks
from tests.support.polling import eventually

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def stack_settings() -> dict[str, Any]:
    tenants = [
        {"name": "default", "owner": "zoe"},
        {"name": "ops", "retention": {"metrics": "30d"}},
        {"name": "shop", "owner": "Ann", "retention": {"metrics": "2d"}},
    ]
    return settings(tenants=tenants)


def deployed(*names: str) -> list[dict[str, Any]]:
    """Return the resources of tenants in the state of a stack."""
    urns = {name: f"urn:pulumi:showdown::opstrace::{TENANT_TYPE}::tenant-{name}" for name in names}
    return [{"urn": urn, "type": TENANT_TYPE, "outputs": {"settings": {}}} for urn in urns.values()]


def names(page: str) -> list[str]:
    """Return the names of the tenants in a list, in its order."""
    return re.findall(r'<a href="/tenants/(\w+)">', page)


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A page whose tenants are applied but for `shop`; the pods of `ops` are not ready."""
    made = make_site()
    made.states["showdown"] = deployed("default", "ops", "system")
    made.cluster.ready = {"default": 1, "ops": 0, "system": 1}
    return made


def test_the_list_lives_on_after_a_fault(site: Site, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    def fail() -> Any:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(site.page.subject, "own_stacks", fail)
        site.page.tenants.start()
        eventually(lambda: site.page.tenants.version > 0, 30)
        assert "this is a fault of opstrace" in str(site.page.tenants.error)
    site.page.tenants.states.refresh()
    eventually(lambda: site.page.tenants.error is None, 30)
    site.page.tenants.stop()
    assert ">ready<" in site.browser().get("/") and "ZeroDivisionError" in capfd.readouterr().err


def test_a_cluster_that_is_down_is_told_with_the_age_of_what_is_shown(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise UserError("the cluster does not answer")

    site.read()
    browser, read_at = site.browser(), site.page.tenants.pods_at
    assert "The pods were looked at " in browser.get("/") and ">at " in browser.get("/tenants/default")
    monkeypatch.setattr("scripts.web.tenant_list.pod_states", fail)
    site.page.tenants.read()
    for path in ("/", "/tenants/default", "/tenants/default/state"):
        page = browser.get(path)
        assert "the cluster does not answer" in page and ">ready<" in page
    assert read_at and site.page.tenants.pods_at == read_at
    assert time.strftime("%H:%M:%S", time.localtime(read_at)) in browser.get("/tenants/default")


def test_a_view_with_a_fault_says_so_and_its_traceback_stands_in_the_terminal(
    site: Site, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    def fail() -> Any:
        raise ZeroDivisionError

    browser = site.browser()
    monkeypatch.setattr(site.page.subject, "own_stacks", fail)
    client = TestClient(site.app, base_url=URL, raise_server_exceptions=False, cookies=browser.client.cookies)
    answer = client.get("/")
    assert answer.status_code == 500 and "this is a fault of opstrace" in answer.text and "<main" in answer.text
    assert "default-src" in answer.headers["content-security-policy"]
    part = client.get("/rows", headers={"HX-Request": "true"})
    assert part.status_code == 500 and "this is a fault of opstrace" in part.text and "<main" not in part.text
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_rounds_go_on_after_a_fault(capfd: Any) -> None:
    done: list[str] = []

    def work() -> None:
        done.append("round")
        if len(done) == 1:
            raise ZeroDivisionError

    rounds = Rounds("test", 0.01, work, lambda: True)
    rounds.start()
    eventually(lambda: len(done) > 1, 30)
    rounds.stop()
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_rounds_begin_with_the_first_browser_that_comes_after_the_first_round() -> None:
    done: list[str] = []
    rounds = Rounds("test", 0.01, lambda: done.append("round"), lambda: is_watched)
    is_watched = False
    rounds.start()
    eventually(lambda: len(done) == 1, 30)
    time.sleep(0.1)
    assert len(done) == 1
    is_watched = True  # without a request
    eventually(lambda: len(done) > 2, 30)
    rounds.stop()


def test_htmx_begins_after_its_extension_is_loaded(site: Site) -> None:
    """A script of `defer` runs when the document is read. Then htmx begins by a timer, maybe before the next script."""
    scripts = re.findall(r"<script ([^>]*)>", site.browser().get("/"))
    assert scripts[:2] == [f'src="/static/vendor/{name}.min.js"' for name in ("htmx", "hx-sse")]


def test_the_list_shows_what_files_have_before_anything_else_was_read(site: Site) -> None:
    page = site.browser().get("/")
    assert names(page) == ["default", "ops", "shop", "system"]
    assert page.count(">unknown<") == 4 and "The states are being read." in page


def test_the_list_shows_states_with_their_reasons(site: Site) -> None:
    site.read()
    page = site.browser().get("/")
    row = dict(re.findall(r'<tr id="tenant-(\w+)">(.*?)</tr>', page, re.DOTALL))
    assert ">ready<" in row["default"] and "zoe" in row["default"] and "7d" in row["default"]
    assert "cortex 0 of 1 ready, loki 0 of 1 ready" in row["ops"] and "30d" in row["ops"]
    assert ">not applied<" in row["shop"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sort=name&order=descending", ["system", "shop", "ops", "default"]),
        ("sort=metrics", ["shop", "default", "system", "ops"]),
        ("sort=owner&order=descending", ["default", "shop", "ops", "system"]),
        ("sort=nothing", ["default", "ops", "shop", "system"]),
        ("filter=ann", ["shop"]),
        ("filter=0+of+1", ["ops"]),
        ("filter=nothing", []),
    ],
)
def test_the_list_is_sorted_and_filtered(site: Site, query: str, expected: list[str]) -> None:
    site.read()
    browser = site.browser()
    assert names(browser.get(f"/?{query}")) == names(browser.get(f"/rows?{query}")) == expected


def test_times_are_in_utc_whatever_the_zone_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        template = TEMPLATES.from_string(
            "{{ 1.5|clock }}, {{ 1.5|moment }}, {{ '2026-11-30T13:11:02.5+09:00'|instant }}"
        )
        shown = template.render()
    time.tzset()
    assert shown == "00:00:01 UTC, 1970-01-01 00:00:01 UTC, 2026-11-30 04:11:02 UTC"


def test_a_fault_of_the_page_is_told_in_the_list_and_in_the_terminal(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def read_wrongly(_: str) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(site.cluster, "read", read_wrongly)
    site.read()
    assert FAULT in site.browser().get("/").replace("&#39;", "'") and "RuntimeError: a fault" in capsys.readouterr().err


def test_a_heading_keeps_the_filter_that_was_typed(site: Site) -> None:
    rows = site.browser().get("/rows?filter=zoe&sort=owner&order=ascending")
    assert '<tr id="headings" hx-swap-oob="outerMorph">' in rows
    assert 'href="/?sort=owner&amp;order=descending&amp;filter=zoe"' in rows
    assert "hx-swap-oob" not in site.browser().get("/?filter=zoe")


def test_the_list_follows_the_files(site: Site) -> None:
    browser = site.browser()
    assert "Ann" in browser.get("/")
    file = StackFile("showdown", site.stack.parent)
    file.entry("tenants")[2]["owner"] = "Bob"
    file.write()
    assert "Bob" in browser.get("/rows") and "Ann" not in browser.get("/rows")


def test_a_file_that_becomes_invalid_is_told_on_the_page(site: Site) -> None:
    browser = site.browser()
    site.stack.write_text(site.stack.read_text().replace("30d", "1h"))
    page = browser.get("/")
    assert "shortest retention" in page and names(page) == []


def test_scripts_in_settings_are_shown_as_text(site: Site) -> None:
    """The models refuse them, but a file may have them: the error must not run them."""
    file = StackFile("showdown", site.stack.parent)
    file.entry("tenants")[0] |= {"owner": SCRIPT, "labels": {SCRIPT: SCRIPT}}
    YAML().dump({"config": {f"opstrace:{name}": value for name, value in file.settings().items()}}, site.stack)
    browser = site.browser()
    page = browser.get(f"/?filter={SCRIPT}")
    assert SCRIPT not in page and "&lt;script&gt;" in page
    assert SCRIPT not in browser.get(f"/tenants/{SCRIPT}", 404)


def test_one_tenant_shows_urls_and_the_command_for_a_token(site: Site) -> None:
    browser = site.browser()
    page = browser.get("/tenants/default")
    assert "https://cortex.default.showdown.example.com" in page and "https://loki.default.showdown.example.com" in page
    assert "./opstrace ta-create-token showdown default KEYPAIR_FILE --out default.jwt" in page
    assert 'href="/tenants/default/change"' in page
    system = browser.get("/tenants/system")  # it belongs to the instance, and cannot be deleted
    assert 'href="/tenants/system/change"' in system and 'href="/tenants/system/delete"' not in system
    assert "There is no tenant nobody" in browser.get("/tenants/nobody", 404)


def test_the_state_of_a_tenant_is_asked_for_alone(site: Site) -> None:
    site.read()
    browser = site.browser()
    assert ">ready<" in browser.get("/tenants/default/state") and "zoe" in browser.get("/tenants/default/state")
    site.cluster.ready["default"] = 0
    site.page.tenants.read()
    part = browser.get("/tenants/default/state")
    assert ">ready<" not in part and "<main" not in part
    assert "There is no tenant nobody" in browser.get("/tenants/nobody/state", 404)


def test_the_list_is_made_anew_only_if_something_of_it_differs(site: Site) -> None:
    site.read()
    listed, buckets = site.page.tenants.tenants(), site.page.tenants.buckets()
    site.page.tenants.read()
    assert site.page.tenants.tenants() is listed and site.page.tenants.buckets() is buckets
    site.cluster.ready["ops"] = 1
    site.page.tenants.read()
    assert [one.state for one in site.page.tenants.tenants()] == ["ready", "ready", "not applied", "ready"]


def test_the_list_counts_tenants_that_the_next_update_deletes(site: Site) -> None:
    site.states["showdown"] = deployed("gone")
    site.read()
    browser = site.browser()
    assert ">5 of 5 tenants.<" in browser.get("/") and ">1 of 5 tenants.<" in browser.get("/?filter=gone")


def test_the_contents_of_a_tenant_follow(site: Site) -> None:
    facts = site.browser().get("/tenants/default/facts")
    assert "0 B" in facts and "The back end does not answer." in facts
    assert "there is no tenant nobody" in site.browser().get("/tenants/nobody/facts")


def grant(identity: str, tenant: str = "default", seconds: int = 4_000_000_000) -> Grant:
    """Return what a token with this id grants."""
    return Grant(instance="showdown", tenant=tenant, seconds=seconds, issued=1, id=identity, name=SCRIPT)


def test_tokens_are_listed_without_a_token_and_one_is_revoked_from_there(site: Site) -> None:
    valid, old = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
    other = "33333333-3333-4333-8333-333333333333"
    record(key_id(KEY), [grant(valid), grant(old, seconds=1), grant(other, "ops")])
    browser = site.browser()
    page = browser.get("/tenants/default")
    assert valid in page and old in page and other not in page and SCRIPT not in page
    assert page.count('<button class="plain" name="token"') == 1
    assert "is not the id of a token of default" in browser.post("/tenants/default/revoke", 422, token=other)
    change = browser.change(browser.post("/tenants/default/revoke", token=valid))
    assert asks(change) == "Apply this change?"
    page = browser.get(f"/changes/{change.id}")
    assert re.search(rf'<span class="added">\+.*{valid}', page)
    assert "1 tenant to add (shop), 2 to change (default, ops)" in page  # the file has more than this revocation
    browser.answer(change, "yes")
    change.wait(30)
    assert change.state == "done" and len(site.updates) == 1
    assert valid in StackFile("showdown", site.stack.parent).config().data_api.revoked_tokens
    assert "revoked" in browser.get("/tenants/default")


@pytest.mark.parametrize("read_only", [False, True])
def test_the_tokens_of_a_tenant_are_asked_for_alone(make_site: Callable[..., Site], read_only: bool) -> None:
    token = "44444444-4444-4444-8444-444444444444"
    browser = make_site(read_only=read_only).browser()
    path = "/tenants/default/tokens"
    assert "No token of this tenant was issued" in browser.get(path)
    record(key_id(KEY), [grant(token)])
    part = browser.get(path)
    assert f'<tr id="token-{token}">' in part and "<main" not in part and ("<form" in part) is not read_only
    if not read_only:
        change = browser.change(browser.submit("/tenants/default/revoke", on=path, token=token))
        assert asks(change) == "Apply this change?"
        change.stop()
    assert "There is no tenant nobody" in browser.get("/tenants/nobody/tokens", 404)
