"""tutorials/first-instance.md and tutorials/first-tenant.md in a browser, and what the page does beyond them.

Three things stay commands: `create` and `destroy` of the instance, key pairs, and clients that send data. The page shows the
commands that make a token and that write the configuration of Prometheus. This test runs them.
"""

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, expect

from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from scripts.integrations.catalog import FORMATS
from scripts.tokens.parse import read_token
from tests.support.browser import SECONDS, chromium
from tests.support.client_process import running
from tests.support.polling import eventually
from tests.support.ports import free_port
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
from tests.support.user_session import DOMAIN, UserSession, url

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


def ends_with_what_clients_need(page: Page) -> str:
    """Fail unless an addition that is done shows URLs, the token step, and a command for each format.

    Return the command for Prometheus.
    """
    connect = page.locator("#connect")
    for api in ("cortex", "loki"):
        expect(connect.get_by_text(url(api, SHOP, ""), exact=True)).to_be_visible()
    expect(connect.locator("p code").first).to_contain_text(f" {SHOP} KEYPAIR_FILE ")
    connect.locator("summary").press("Enter")
    expect(connect.locator("td").get_by_role("button", name="Copy")).to_have_count(len(FORMATS))
    return connect.locator("td code", has_text=f" {SHOP} prometheus ").inner_text()


@contextmanager
def prometheus(walk: UserSession, command: str, pair: str) -> Iterator[int]:
    """Run the real Prometheus with the files of the page's command, which scrapes itself; yield its port."""
    words, port = command.replace("KEYPAIR_FILE", pair).split(), free_port()
    walk.opstrace(*words[1:])
    folder = walk.folder / words[-1]
    file = folder / "prometheus.yml"
    file.write_text(file.read_text().replace("127.0.0.1:9090", f"127.0.0.1:{port}").replace("15s", "1s"))
    options = ("--config.file=prometheus.yml", f"--web.listen-address=127.0.0.1:{port}")
    started = [f"{ensure(catalog.PROMETHEUS)}/prometheus", *options]
    with running(started, folder, folder / "prometheus.log", f"127.0.0.1 localhost cortex.{SHOP}.{DOMAIN}"):
        yield port


def is_pushed_and_read(walk: UserSession, page: Page, token: str, port: int) -> None:
    """Send a line to the tenant by the URL that its page shows. Read it in Explore, and whether Prometheus is up."""
    shown = page.locator("dd code").all_inner_texts()
    cortex, loki = url("cortex", SHOP, ""), url("loki", SHOP, "")
    assert cortex in shown and loki in shown
    eventually(lambda: walk.push_line(SHOP, "hello, tenant", token, "hello")[0] == 204, SECONDS)
    page.get_by_role("main").get_by_role("link", name="Explore", exact=True).press("Enter")
    expect(page.get_by_label("Tenant", exact=True)).to_have_value(SHOP)
    page.get_by_role("textbox", name="Query").press_sequentially('up{job="self')
    eventually(lambda: finds(page, "1 series."), SECONDS)
    expect(page.locator("#series tbody")).to_have_text(
        re.compile(rf'^up\{{instance="127.0.0.1:{port}", integration_id="[\w-]+", job="self"\}}1$')
    )
    page.get_by_label("Language").select_option("LogQL")
    page.get_by_role("textbox", name="Query").press_sequentially('{job="hello')
    eventually(lambda: finds(page, "1 line, the newest first."), SECONDS)
    expect(page.locator("#lines li > code")).to_have_text(["hello, tenant"])


def changes_retention(page: Page) -> None:
    """Change how long metrics of the tenant are kept, once its view shows what it has."""
    open_tenant(page, SHOP)
    expect(page.locator("dt:text-is('Active series') + dd")).to_have_text(re.compile(r"^[1-9][\d,]*$"))
    page.get_by_role("link", name="Change", exact=True).press("Enter")
    expect(page.locator("[id='retention.metrics-effect']")).to_have_text("a change: live")
    page.get_by_label("retention.metrics").fill("30d")
    page.get_by_role("button", name="Show the plan").press("Enter")
    expect(page.get_by_text("retention: {metrics: 30d}").or_(page.get_by_text("metrics: 30d"))).to_be_visible()
    apply(page)
    wait_for_end(page)


def asks_before_data_is_deleted(page: Page) -> None:
    """Fail unless a retention that is shorter than the recorded one is a question of its own."""
    open_tenant(page, SHOP)
    page.get_by_role("link", name="Change", exact=True).press("Enter")
    page.get_by_label("retention.metrics").fill("5d")
    page.get_by_role("button", name="Show the plan").press("Enter")
    losses = "its metrics will be kept for 5d instead of 30d: older data will be deleted for good"
    expect(page.locator(".plan")).to_contain_text(losses)
    expect(page.get_by_text("Delete the older data?")).to_be_visible()
    page.get_by_role("button", name="No", exact=True).press("Enter")
    expect(page.get_by_role("status")).to_have_text("not confirmed")


def filters_and_sorts(page: Page) -> None:
    """Fail unless the list shows the tenants that were asked for, in the order that was asked for, with retention and stack."""
    page.get_by_role("link", name="Tenants", exact=True).press("Enter")
    page.get_by_label("Filter").fill("page")
    expect(page.locator("#rows th a")).to_have_text([ALONE, SHOP])
    page.get_by_role("columnheader", name="Name").get_by_role("link").press("Enter")
    expect(page.locator("#rows th a")).to_have_text([SHOP, ALONE])
    expect(page.get_by_label("Filter")).to_have_value("page")
    for tenant, kept, stack in ((SHOP, "30d", "the instance's"), (ALONE, "7d", "its own")):
        expect(page.locator(f"#tenant-{tenant} td").nth(6)).to_have_text(kept)
        expect(page.locator(f"#tenant-{tenant} td").nth(9)).to_have_text(stack)


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
        show_plan(other, ALONE, own_stack=True, on_delete="purge")  # another stack is changed at the same time
        apply(other)
        wait_for_end(page)
        command = ends_with_what_clients_need(page)
        open_tenant(page, SHOP)
        token = token_of(walk, page, trusted_pair)
        expect(page.get_by_role("row", name=str(read_token(token).text_of("jti")))).to_contain_text("valid")
        with prometheus(walk, command, trusted_pair) as port:
            is_pushed_and_read(walk, page, token, port)

        changes_retention(page)
        asks_before_data_is_deleted(page)
        open_tenant(page, SHOP)
        issued = page.get_by_role("row", name=str(read_token(token).text_of("jti")))
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
        delete(other, ALONE, "as recorded: delete it for good")
        delete(page, SHOP, "keep it", tokens="revoke them")  # that of Prometheus is valid
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
