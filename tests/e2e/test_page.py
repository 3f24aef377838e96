"""The tenants page of a real instance in Chromium: the list, a change with the engine's progress, a second browser, and data."""

import datetime
import getpass
import json
import re
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from components.core.public_keys import key_id
from components.gateway.gateway import REPLICAS
from scripts.checks.quotas import KEY_TYPES
from scripts.tokens.key_files import read_key_pair
from scripts.web.data.limits import LIMITED
from scripts.web.data.states import STATES_SECONDS
from tests.support.browser import SECONDS, chromium
from tests.support.killing import OPERATION_SECONDS, engine_at_work
from tests.support.polling import eventually
from tests.support.queries import LINES, asked
from tests.support.recorded_answers import recording, require_no_token
from tests.support.served_page import ServedPage, apply, open_tenant, served_instance
from tests.support.user_session import UserSession, url

# Until each collector has scraped each target twice, on a busy machine; on a used instance, the data is there. The view asks for
# some of it again after `STATES_SECONDS`.
DATA_SECONDS = STATES_SECONDS + 240
# That policies are enforced, or on a busy machine, that there was no time to prove it; never that they are not.
VERDICT = re.compile(r"^(enforced[:,] |not proven: |not checked: no answer in )")
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def firing(walk: UserSession) -> Iterator[str]:
    """The name of an alert of the tenant's own rules, which fires after some rounds of its ruler."""
    token, rules, name = walk.token("default"), url("cortex", "default", "/api/v1/rules/page"), "PageAlways"
    rule = {"alert": name, "expr": "vector(1)", "labels": {"severity": "page"}}
    group = json.dumps({"name": "page", "interval": "5s", "rules": [rule]})  # JSON is YAML
    typed = ("-X", "POST", "-H", "Content-Type: application/yaml", "-d", group)
    status, body = walk.curl(rules, *typed, token=token)
    assert status == 202, body
    yield name
    status, body = walk.curl(rules, "-X", "DELETE", token=token)
    assert status == 202, body


@pytest.fixture
def error(walk: UserSession) -> str:
    """A text in the error of the tenant's Cortex about a request that it cannot read, once the system tenant has that line."""
    mark = f"w{uuid.uuid4().hex[:9]}"  # ten characters: of longer texts, the line has only the beginning
    typed = ("-X", "POST", "-H", "Content-Type: application/yaml", "-d", json.dumps({"name": "wrong", "rules": mark}))
    status, body = walk.curl(url("cortex", "default", "/api/v1/rules/wrong"), *typed, token=walk.token("default"))
    assert status == 400, body
    query = f'{{k8s_namespace_name="default-tenant"}} |= "{mark}"'
    eventually(lambda: asked(walk, LINES, query=query) != [], DATA_SECONDS)
    return mark


@pytest.fixture
def page_of_walk(walk: UserSession) -> Iterator[ServedPage]:
    with served_instance(walk) as one:
        yield one


@pytest.fixture
def page_with_key(walk: UserSession, trusted_pair: str) -> Iterator[ServedPage]:
    with served_instance(walk, "--read-only", "--key", trusted_pair) as one:
        yield one


def show_plan_of_owner(page: Page, owner: str) -> None:
    """Let a tenant's page show the plan of another owner."""
    page.get_by_role("link", name="Change", exact=True).press("Enter")
    page.get_by_label("owner").fill(owner)
    page.get_by_label("owner").press("Enter")


def outlasts_an_interrupt(started: ServedPage, page: Page) -> None:
    """Fail unless the page and its update go on after one Ctrl-C, and the page says how the update ended."""
    open_tenant(page, "default")
    show_plan_of_owner(page, "")
    apply(page)
    engine_at_work(started.process.pid, "up")
    started.process.send_signal(signal.SIGINT)
    page.reload()
    expect(page.get_by_role("heading", name="Change the tenant default")).to_be_visible()
    assert started.process.wait(OPERATION_SECONDS) == 0
    eventually(lambda: started.said[-1] == "Change the tenant default: done\n", SECONDS)
    assert started.said[-2].startswith("An update is under way: Change the tenant default. The page ends after it.")


def test_a_tenant_is_changed_in_a_browser_and_another_one_sees_it(
    walk: UserSession, page_of_walk: ServedPage, file_as_before: None
) -> None:
    with chromium() as browser:
        page, problems = page_of_walk.open(browser)
        other, problems_of_other = page_of_walk.open(browser)
        for one in (page, other):
            expect(one.locator("#tenant-default .state")).to_have_text("ready")
        page.get_by_role("link", name="default", exact=True).press("Enter")
        expect(page.get_by_text("Active series")).to_be_visible()
        show_plan_of_owner(page, "team web")
        expect(page.get_by_text("Apply this change?")).to_be_visible()
        expect(page.get_by_text("owner: team web")).to_be_visible()
        expect(page.get_by_text("1 tenant to change (default)")).to_be_visible()
        assert "team web" not in walk.stack_path.read_text()
        expect(other.locator("#banner")).to_contain_text("waits for an answer")
        other.get_by_role("link", name="Change the tenant default").click()
        page.get_by_role("button", name="Apply").press("Enter")
        for one in (page, other):
            expect(one.get_by_role("status")).to_have_text("done")
            expect(one.get_by_text(re.compile(r"\d+ updated, \d+ without a change"))).to_be_visible()
        other.get_by_role("link", name="All tenants").click()
        expect(other.locator("#tenant-default")).to_contain_text("team web")
        assert problems == problems_of_other == []
        assert "owner: team web" in walk.stack_path.read_text()
        outlasts_an_interrupt(page_of_walk, page)
    assert "team web" not in walk.stack_path.read_text()


def test_data_of_the_instance_arrives_in_a_browser(
    walk: UserSession, page_with_key: ServedPage, trusted_pair: str, firing: str, error: str
) -> None:
    """The queries' own tests are those of scripts.web; here real collectors, back ends and rules answer them."""
    token = walk.token("default")
    for number in range(5):
        assert walk.push_line("default", f"line {number}", token, "page")[0] == 204
        assert walk.push_sample("default", {"__name__": "page", "script": SCRIPT}, number, token)[0] == 200
    assert walk.curl(url("cortex", "default", f"/{SCRIPT}"), token=token)[0] == 404
    with chromium() as browser:
        expect.set_options(timeout=DATA_SECONDS * 1000)
        answers = walk.folder / "answers.har"
        page, problems = page_with_key.open(browser, **recording(answers))
        expect(page.get_by_role("link", name="Add a tenant")).to_have_count(0)
        row = page.locator("#tenant-default")
        expect(row.locator("svg.sparkline")).to_have_count(3)
        expect(row.locator("td").nth(1)).to_have_text(re.compile(r"^\d+[smhd]$"))
        expect(row.locator("td").nth(5)).to_have_text(re.compile(r"B$"))
        assert page.locator("svg.sparkline").first.bounding_box()
        page.get_by_role("link", name="default", exact=True).press("Enter")
        use = page.locator("#data-use")
        with_figures = [one.label for one in LIMITED if one.number]
        expect(use.locator("tr:has(svg.sparkline) th")).to_have_text(with_figures)
        expect(use.get_by_role("row", name="Series in a pod")).to_contain_text("%")
        expect(use.get_by_text("no figure", exact=True)).to_have_count(len(LIMITED) - len(with_figures))
        expect(page.locator("#data-alerts").get_by_role("heading", name="By its rules of logs")).to_be_visible()
        expect(page.locator("#data-alerts").get_by_role("rowheader", name=firing, exact=True)).to_be_visible()
        expect(page.locator("#data-errors tr", has_text=error)).to_contain_text("cortex-0")
        assert page.locator(".why").all_inner_texts() == []
        _require_answers(page)
        _offers_no_change(page, page_with_key.site)
        page.get_by_role("link", name="Instance", exact=True).press("Enter")
        key = key_id(read_key_pair(Path(trusted_pair)).public_key())
        expect(page.locator("#gateway dt")).to_have_count(REPLICAS)
        expect(page.locator("#gateway dd")).to_contain_text([key] * REPLICAS)
        expect(page.locator("#data-certificates")).to_contain_text(_certificates_in_words(walk))
        expect(page.locator("#data-quotas")).to_contain_text("The embedded cloud has no quotas")
        expect(page.locator("#data-updates")).to_contain_text("opstrace ")
        expect(page.locator("#data-updates")).to_contain_text(getpass.getuser())
        expect(page.locator("#data-alerts")).not_to_contain_text("being read")
        assert page.locator("#data-alerts .why").all_inner_texts() == []
        assert problems == []
        page.context.close()
    require_no_token(
        answers, "/", "/tenants/default", "/tenants/default/data/use", "/instance", "/instance/data/alerts"
    )


def test_the_checks_are_run_in_a_browser(walk: UserSession) -> None:
    """The provider is `aws`, with the shell's environment: the provider `local` needs no checks."""
    with served_instance(walk, provider="aws") as started, chromium() as browser:
        page, _ = started.open(browser)
        page.get_by_role("link", name="Instance", exact=True).press("Enter")
        page.get_by_role("button", name="Check account, network, domain and cluster").press("Enter")
        for check in ("account", "cluster version", "network policies"):
            expect(page.get_by_role("rowheader", name=check, exact=True)).to_be_visible()
        quotas = page.locator("#data-quotas")
        expect(quotas.get_by_role("rowheader", name="quota of buckets", exact=True)).to_be_visible()
        expect(quotas.get_by_role("row", name="quota of roles")).to_contain_text(re.compile(r"Roles.*: \d+ of \d+"))
        row = page.locator("tr", has=page.get_by_role("rowheader", name="network policies", exact=True))
        expect(row.locator("td").last).to_have_text(VERDICT)
    eventually(lambda: "opstrace-probe" not in walk.kubectl("get", "namespaces", "-o", "name"), SECONDS)


def _require_answers(page: Page) -> None:
    """Fail unless the access log's lines about the requests arrive in the view, which follows without a reload."""
    answers = page.locator("#data-answers")
    for status in ("200", "204", "404"):
        expect(answers.locator("th[scope=row]").get_by_text(status, exact=True).first).to_be_visible()
    answers.get_by_text("The newest errors").click()
    expect(answers).to_contain_text("404")


def _certificates_in_words(walk: UserSession) -> str:
    """Return what the page says of the certificates in ACM, which are all good."""
    listed = walk.aws("acm").list_certificates(Includes={"keyTypes": KEY_TYPES})["CertificateSummaryList"]
    ends = min(one["NotAfter"] for one in listed).astimezone(datetime.UTC)
    return f"{len(listed)} certificates, 0 of them to look at; the first ends on {ends:%Y-%m-%d %H:%M:%S} UTC"


def _offers_no_change(page: Page, site: str) -> None:
    """Fail if the view of a tenant offers a change, or if the page has the form of one."""
    expect(page.locator("nav .name")).to_have_text(re.compile(", read-only$"))
    expect(page.get_by_role("cell", name="valid", exact=True).first).to_be_visible()
    expect(page.get_by_role("button", name="Revoke")).to_have_count(0)
    for name in ("Change", "Delete"):
        expect(page.get_by_role("link", name=name, exact=True)).to_have_count(0)
    assert page.request.get(f"{site}/tenants/default/change").status == 403
