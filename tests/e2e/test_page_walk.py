"""tutorials/first-instance.md and tutorials/first-tenant.md in a browser: all but making keys and tokens.

For these, the page shows the command.
"""

import re
import signal

from playwright.sync_api import Page, expect

from scripts.integrations.catalog import FORMATS
from scripts.tokens.parse import read_token
from tests.support.browser import SECONDS, chromium
from tests.support.polling import eventually
from tests.support.served_page import (
    apply,
    delete,
    finds,
    let_expire,
    open_retained,
    open_tenant,
    purge,
    refuses_to_delete_what_is_protected,
    require_not_retained,
    served_instance,
    show_plan,
    wait_for_end,
)
from tests.support.user_session import UserSession, url

SHOP, ALONE = "pageshop", "pagealone"
IN_FORCE_SECONDS = 90  # for a token's revocation


def token_of(walk: UserSession, page: Page, pair: str) -> str:
    """Return a token that the command on a tenant's page makes."""
    command = page.locator("code", has_text="ta-create-token").inner_text().replace("KEYPAIR_FILE", pair).split()
    walk.opstrace(*command[1:])
    return (walk.folder / command[-1]).read_text()


def refuses_another_name(page: Page) -> None:
    """Fail unless the form says what is wrong with a name while it is typed."""
    page.get_by_role("link", name="Add a tenant").press("Enter")
    page.get_by_label("Name", exact=True).press_sequentially("Shop")
    expect(page.locator("#name-problem")).to_contain_text("'Shop': use 1 to 30 characters of a-z and 0-9")
    expect(page.get_by_label("Name", exact=True)).to_have_attribute("aria-invalid", "true")


def ends_with_what_clients_need(page: Page) -> None:
    """Fail unless an addition that is done shows URLs, the token step, and a command for each format."""
    connect = page.locator("#connect")
    for api in ("cortex", "loki"):
        expect(connect.get_by_text(url(api, SHOP, ""), exact=True)).to_be_visible()
    expect(connect.locator("p code").first).to_contain_text(f" {SHOP} KEYPAIR_FILE ")
    connect.locator("summary").press("Enter")
    expect(connect.locator("td").get_by_role("button", name="Copy")).to_have_count(len(FORMATS))


def is_pushed_and_read(walk: UserSession, page: Page, token: str) -> None:
    """Send a line and a sample to the tenant by the URLs that its page shows, and read them in Explore."""
    shown = page.locator("dd code").all_inner_texts()
    cortex, loki = url("cortex", SHOP, ""), url("loki", SHOP, "")
    assert cortex in shown and loki in shown
    eventually(lambda: walk.push_line(SHOP, "hello, tenant", token, "hello")[0] == 204, SECONDS)
    assert walk.push_sample(SHOP, {"__name__": "up", "job": "hello"}, 1, token)[0] == 200
    page.get_by_role("main").get_by_role("link", name="Explore", exact=True).press("Enter")
    expect(page.get_by_label("Tenant", exact=True)).to_have_value(SHOP)
    page.get_by_role("textbox", name="Query").press_sequentially("up")
    eventually(lambda: finds(page, "1 series."), SECONDS)
    expect(page.locator("#series tbody")).to_contain_text('up{job="hello"}1')
    page.get_by_label("Language").select_option("LogQL")
    page.get_by_role("textbox", name="Query").press_sequentially('{job="hello')
    eventually(lambda: finds(page, "1 line, the newest first."), SECONDS)
    expect(page.locator("#lines li > code")).to_have_text(["hello, tenant"])


def changes_retention(page: Page) -> None:
    """Change how long metrics of the tenant are kept, once its view shows what it has."""
    open_tenant(page, SHOP)
    expect(page.locator("dt:text-is('Active series') + dd")).to_have_text("1")
    page.get_by_role("link", name="Change", exact=True).press("Enter")
    expect(page.locator("[id='retention.metrics-effect']")).to_have_text("a change: live")
    page.get_by_label("retention.metrics").fill("30d")
    page.get_by_role("button", name="Show the plan").press("Enter")
    expect(page.get_by_text("retention: {metrics: 30d}").or_(page.get_by_text("metrics: 30d"))).to_be_visible()
    apply(page)
    wait_for_end(page)


def filters_and_sorts(page: Page) -> None:
    """Fail unless the list shows the tenants that were asked for, in the order that was asked for."""
    page.get_by_role("link", name="Tenants", exact=True).press("Enter")
    page.get_by_label("Filter").fill("page")
    expect(page.locator("#rows th a")).to_have_text([ALONE, SHOP])
    page.get_by_role("columnheader", name="Name").get_by_role("link").press("Enter")
    expect(page.locator("#rows th a")).to_have_text([SHOP, ALONE])
    expect(page.get_by_label("Filter")).to_have_value("page")


def shows_stored_bytes(page: Page) -> None:
    """Fail unless the list shows what the buckets of both tenants hold."""
    page.get_by_role("link", name="Tenants", exact=True).press("Enter")
    for tenant in (SHOP, ALONE):
        expect(page.locator(f"#tenant-{tenant} td").nth(5)).to_have_text(re.compile(r"^\d+(\.\d)? [kM]?B$"))


def manage_retained_data(page: Page) -> None:
    """Let the data of the deleted tenant expire, and delete it."""
    open_retained(page, SHOP)
    day = let_expire(page, SHOP, days=3)
    open_retained(page, SHOP, expires=day)
    purge(page, SHOP)
    require_not_retained(page, SHOP)


def test_the_tutorials_are_walked_in_a_browser(walk: UserSession, trusted_pair: str, file_as_before: None) -> None:
    with served_instance(walk, "--key", trusted_pair) as started, chromium() as browser:
        page, problems = started.open(browser)
        other, problems_of_other = started.open(browser)
        refuses_another_name(page)
        show_plan(page, SHOP)
        apply(page)
        expect(page.locator(".operation")).to_contain_text(re.compile(r"\d+ created"))  # while the update runs
        page.reload()
        show_plan(other, ALONE, own_stack=True)  # another stack is changed at the same time
        apply(other)
        wait_for_end(page)
        ends_with_what_clients_need(page)
        open_tenant(page, SHOP)
        token = token_of(walk, page, trusted_pair)
        is_pushed_and_read(walk, page, token)

        changes_retention(page)
        open_tenant(page, SHOP)
        issued = page.get_by_role("row").filter(has=page.get_by_role("button", name="Revoke the token"))
        expect(issued).to_contain_text(str(read_token(token).text_of("jti")))
        assert token not in page.content()
        issued.get_by_role("button").press("Enter")
        apply(page)
        wait_for_end(page)
        labels = url("cortex", SHOP, "/api/v1/labels")
        eventually(lambda: walk.curl(labels, token=token)[0] == 401, IN_FORCE_SECONDS)

        wait_for_end(other)
        filters_and_sorts(page)
        shows_stored_bytes(page)
        refuses_to_delete_what_is_protected(walk, page, SHOP)
        delete(other, ALONE, "delete it for good")
        delete(page, SHOP, "keep it")
        wait_for_end(page)
        wait_for_end(other)
        assert len(walk.buckets(SHOP)) == 3 and walk.buckets(ALONE) == []

        assert all("422" in one for one in problems)  # queries of a tenant that is a minute old
        before = len(problems)
        manage_retained_data(page)
        (refused,) = problems[before:]  # another tenant's name, typed before the right one
        assert "422" in refused and problems_of_other == []
        started.process.send_signal(signal.SIGINT)
        assert started.process.wait(SECONDS) == 0
    assert walk.buckets(SHOP) == []
    namespaces = walk.kubectl("get", "namespaces", "-o", "name")
    assert SHOP not in namespaces and ALONE not in namespaces
