"""The data of the instance: certificates, quotas, the engine's history, and alerts of the platform."""

import datetime
import re
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from scripts.checks.finding import ok, warning
from scripts.engine.stack_state import Operation
from scripts.tokens.signing import Signer
from scripts.web.data.certificates import certificates
from tests.support.factories import PAIR
from tests.support.page import Engine, Site
from tests.support.tenant_apis import TenantApis

SCRIPT = "<script>alert(1)</script>"
DOMAIN = "showdown.example.com"


class Acm:
    """ACM with certificates, each as name, status and days until its end; None for one that is not issued."""

    def __init__(self, *certificates: tuple[str, str, int | None], denied: bool = False) -> None:
        self._certificates, self._denied = certificates, denied

    def can_paginate(self, _: str) -> bool:
        return False

    def list_certificates(self, Includes: dict[str, Any]) -> dict[str, Any]:  # noqa: N803 the name of AWS
        if self._denied:
            raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "ListCertificates")
        assert "EC_prime256v1" in Includes["keyTypes"]  # or ACM lists RSA keys alone
        now = datetime.datetime.now(datetime.UTC)
        ends = {
            name: {"NotAfter": now + datetime.timedelta(days=days, hours=1)}
            for name, _, days in self._certificates
            if days is not None
        }
        return {
            "CertificateSummaryList": [
                {"DomainName": name, "Status": status, **ends.get(name, {})} for name, status, _ in self._certificates
            ]
        }


def test_certificates_that_need_a_look_come_first_and_others_of_the_account_are_left_out() -> None:
    acm = Acm(
        (f"default.{DOMAIN}", "ISSUED", 200),
        (f"ops.{DOMAIN}", "ISSUED", 20),
        (f"shop.{DOMAIN}", "PENDING_VALIDATION", None),
        (DOMAIN, "ISSUED", 100),
        (f"other-{DOMAIN}", "ISSUED", 1),
    )
    found = certificates({"acm": acm}, DOMAIN)
    assert [(one.name.removesuffix(DOMAIN), one.days, one.is_good) for one in found] == [
        ("shop.", None, False),
        ("ops.", 20, False),
        ("", 100, True),
        ("default.", 200, True),
    ]


def test_certificates_are_shown_with_their_ends(site: Site) -> None:
    site.context.aws = {"acm": Acm((DOMAIN, "ISSUED", 100), (f"shop.{DOMAIN}", "PENDING_VALIDATION", None))}
    page = site.browser().get("/instance/data/certificates")
    assert "2 certificates, 1 of them to look at" in page and "in 100 days" in page and "not issued yet" in page
    assert page.index(f"<code>shop.{DOMAIN}") < page.index(f"<code>{DOMAIN}")


def test_without_certificates_or_rights_the_reason_is_told(site: Site) -> None:
    browser = site.browser()
    assert "it is not applied yet" in browser.get("/instance/data/certificates")
    site.page.subject.forget_target()
    site.context.aws = {"acm": Acm(denied=True)}
    assert "allow the IAM action acm:ListCertificates" in browser.get("/instance/data/certificates")


def test_a_fault_is_told_and_its_traceback_stands_in_the_terminal(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    site.context.aws = {}
    assert "this is a fault of opstrace" in site.browser().get("/instance/data/certificates")
    assert "KeyError: 'acm'" in capfd.readouterr().err


def test_quotas_are_those_of_aws(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = site.browser()
    assert "The embedded cloud has no quotas" in browser.get("/instance/data/quotas")
    monkeypatch.setattr(site.page, "provider_name", "aws")
    site.context.findings = [ok("quota of buckets", "9 of 100"), warning("quota of roles", "950 of 1000", "raise it")]
    page = browser.get("/instance/data/quotas")
    assert "9 of 100" in page and "950 of 1000" in page and "raise it" in page


def test_the_last_updates_say_who_and_what(site: Site) -> None:
    page = site.browser().get("/instance/data/updates")
    rows = [re.findall(r"<td>(.*?)</td>", row, re.DOTALL) for row in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)[1:]]
    texts = [[" ".join(re.sub(r"<[^>]+>", "", cell).split()) for cell in row] for row in rows]
    assert texts[0] == [
        "2026-11-30 13:11:02 UTC",
        "showdown",
        "update",
        "ann@desk",
        "opstrace tenants add &lt;script&gt;",
        "30 created",
        "succeeded",
    ]
    assert texts[1][3].startswith("not recorded") and texts[1][5:] == ["none changed", "failed"]
    assert "hidden" not in page


def test_the_last_updates_are_those_of_all_stacks_and_few_histories_are_read(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, operations = list[str](), Engine.operations

    def counted(engine: Engine, most: int) -> list[Operation]:
        asked.append(engine.instance)
        return operations(engine, most)

    monkeypatch.setattr(Engine, "operations", counted)
    site.states |= {f"showdown.team{number}": [] for number in range(15)} | {"other.team59": []}
    page = site.browser().get("/instance/data/updates")
    expected = [f"showdown.team{number}" for number in (14, 13, 12)] + ["showdown"]
    expected += [f"showdown.team{number}" for number in range(11, 5, -1)]
    assert re.findall(r"UTC</td><td>([\w.]+)</td>", page) == expected
    assert len(asked) == 11


def test_without_a_stack_the_engine_has_done_nothing(site: Site) -> None:
    site.states.clear()
    assert "has done nothing" in site.browser().get("/instance/data/updates")


def test_alerts_of_the_platform_are_shown_as_text(make_site: Callable[..., Site]) -> None:
    labels = {"alertname": "NodeNotReady", "severity": "critical", "node": SCRIPT}
    alerts = [
        {"labels": labels, "annotations": {"summary": SCRIPT}, "state": "firing", "activeAt": "2026-11-30T11:22:33Z"}
    ]
    site = make_site(signer=Signer(PAIR))
    apis = TenantApis(lambda asked: (200, {"data": {"alerts": alerts}}))
    site.context.gateway = apis.client
    page = site.browser().get("/instance/data/alerts")
    assert "NodeNotReady" in page and "critical" in page and SCRIPT not in page and "node=&lt;script&gt;" in page
    assert apis.asked[0].host == "cortex.system.showdown.example.com"


def test_without_a_key_alerts_say_how_to_switch_them_on(site: Site) -> None:
    browser = site.browser()
    assert "`--key KEYPAIR_FILE`" in browser.get("/instance/data/alerts")
    assert re.findall(r'hx-get="(/instance/\S+)"', browser.get("/instance")) == [
        "/instance/header",
        "/instance/gateway",
        *(f"/instance/data/{part}" for part in ("alerts", "certificates", "quotas", "updates")),
    ]
    browser.get("/instance/data/nothing", 404)
