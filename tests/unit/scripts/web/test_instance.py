"""The view of the instance."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from components.core.public_keys import key_id
from scripts.checks.finding import Finding, ok, warning
from scripts.stackfile.file import StackFile
from tests.support.factories import KEY
from tests.support.page import Site


def test_it_shows_domain_and_trusted_keys(site: Site) -> None:
    page = site.browser().get("/instance")
    assert "showdown.example.com" in page and key_id(KEY) in page


def test_what_files_have_of_it_is_asked_for_alone(site: Site) -> None:
    browser, path = site.browser(), "/instance/header"
    assert "2, of which 0 have stacks of their own" in browser.get(path) and "<main" not in browser.get(path)
    file = StackFile("showdown", site.stack.parent)
    file.entry("tenants").append({"name": "shop"})
    file.set_revoked_tokens({"44444444-4444-4444-8444-444444444444": "2999-01-01T00:00:00Z"})
    file.write()
    part = browser.get(path)
    assert "3, of which 0 have stacks of their own" in part and "<dd>1</dd>" in part


def test_the_event_of_a_change_s_end_waits_while_updates_are_read(site: Site) -> None:
    found = dict(re.findall(r'hx-get="/instance/data/(\w+)" hx-sync="this:(.*?)"', site.browser().get("/instance")))
    assert found == {"alerts": "drop", "certificates": "drop", "quotas": "drop", "updates": "queue last"}


def test_the_gateway_follows(site: Site) -> None:
    assert "the Deployment is missing" in site.browser().get("/instance/gateway")


@pytest.mark.parametrize("read_only", [False, True])
def test_the_checks_show_what_they_find_and_start_pods_unless_the_page_is_read_only(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch, read_only: bool
) -> None:
    site = make_site(read_only=read_only)
    found = [ok("region", "us-west-2"), warning("subnets", "few addresses", "add <b>a</b> subnet")]
    monkeypatch.setattr(site.page, "provider_name", "aws")
    site.context.findings = found
    page = site.browser().submit("/instance/check", 200, on="/instance")
    assert "us-west-2" in page and "few addresses" in page and "add &lt;b&gt;a&lt;/b&gt; subnet" in page
    assert site.context.starts_pods is not read_only
    assert ("they start no pods" in page) is read_only and ("Two pods start" in page) is not read_only


def test_the_embedded_cloud_needs_no_checks(site: Site) -> None:
    browser = site.browser()
    page = browser.get("/instance")
    assert "There is nothing to check" in page and "<form" not in page
    assert "check is for the provider `aws`" in browser.post("/instance/check", 200)


@pytest.mark.parametrize("read_only", [False, True])
def test_checks_hold_the_end_of_the_page_only_if_they_start_pods(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch, read_only: bool
) -> None:
    site = make_site(read_only=read_only)
    monkeypatch.setattr(site.page, "provider_name", "aws")
    held: list[bool] = []

    def preflight(*_: Any, **__: Any) -> list[Finding]:
        held.append(site.page.checks.locked())
        return []

    monkeypatch.setattr(site.context, "preflight", preflight)
    site.browser().post("/instance/check", 200)
    assert held == [not read_only] and not site.page.checks.locked()


def test_an_invalid_file_is_told(site: Site) -> None:
    site.stack.write_text(site.stack.read_text().replace("domain: example.com", "domain: '-'"))
    assert "opstrace:domain" in site.browser().get("/instance")
