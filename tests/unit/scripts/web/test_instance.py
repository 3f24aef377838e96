"""The view of the instance."""

from typing import Any

import pytest

from components.core.public_keys import key_id
from scripts.checks.finding import ok, warning
from tests.support.factories import KEY
from tests.support.page import ORIGIN, Site


def test_it_shows_domain_and_trusted_keys(site: Site) -> None:
    page = site.browser().get("/instance")
    assert "showdown.example.com" in page and key_id(KEY) in page


def test_the_gateway_follows(site: Site) -> None:
    assert "the Deployment is missing" in site.browser().get("/instance/gateway")


def test_the_checks_show_what_they_find(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [ok("region", "us-west-2"), warning("subnets", "few addresses", "add <b>a</b> subnet")]
    monkeypatch.setattr(site.page, "provider_name", "aws")
    site.context.findings = found
    browser = site.browser()
    page = browser.post("/instance/check", 200)
    assert "us-west-2" in page and "few addresses" in page and "add &lt;b&gt;a&lt;/b&gt; subnet" in page


def test_the_embedded_cloud_needs_no_checks(site: Site) -> None:
    assert "check is for the provider `aws`" in site.browser().post("/instance/check", 200)


def test_an_invalid_file_is_told(site: Site) -> None:
    site.stack.write_text(site.stack.read_text().replace("domain: example.com", "domain: '-'"))
    assert "opstrace:domain" in site.browser().get("/instance")


def test_a_page_that_only_reads_starts_no_pods(make_site: Any) -> None:
    browser = make_site(read_only=True).browser()
    assert "<form" not in browser.get("/instance")
    assert browser.client.post("/instance/check", data={"csrf": browser.csrf}, headers=ORIGIN).status_code == 403
