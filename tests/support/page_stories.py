"""What people do with the page, by the keyboard alone: stories that lead to each of its views in each state.

`tests/unit/scripts/web/test_stories.py` finds the route that no story asks for.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from playwright.sync_api import Route, expect

from tests.support.explored import BROKEN
from tests.support.pictured import INSTANCE, KEPT, KEPT_ID, LOGS_QUERY, METRICS_QUERY, TENANTS, TOKEN
from tests.support.served_page import settled, wait_for_end
from tests.support.staged import COMPLETES, IS_KILLED, WAITS, stage
from tests.support.visit import Visit

STREAM = "**/events*"
ALL = len(TENANTS) + 1  # with `system`


Steps = Callable[[Visit], Iterator[str]]


@dataclass(frozen=True)
class Story:
    """What somebody does with the page.

    Attributes:
        steps: Does it, and yields a name of each state in which a view is to be checked.
        routes: The routes for which it asks, besides others.
        changes: What the views of changes say about their states.
    """

    steps: Steps
    routes: tuple[str, ...]
    changes: tuple[str, ...]


STORIES: list[Story] = []


def story(*routes: str, changes: tuple[str, ...] = ()) -> Callable[[Steps], Steps]:
    """Add a function to the stories."""

    def add(steps: Steps) -> Steps:
        STORIES.append(Story(steps, routes, changes))
        return steps

    return add


def _follows_files(visit: Visit, part: str) -> None:
    """Let the stack file look changed, and wait until the view has asked for a part of it again."""
    with visit.page.expect_response(f"**{part}"):
        (visit.folder / f"Pulumi.{INSTANCE}.yaml").touch()


@story("GET /", "GET /rows", "GET /ages", "POST /refresh", "GET /events", "GET /banner")
def the_list_is_filtered_and_sorted(visit: Visit) -> Iterator[str]:
    page, keys = visit.page, visit.keys
    visit.open("/")
    expect(page.locator("#tenant-shop svg.sparkline")).to_have_count(3)
    yield "the list"
    keys.write(page.get_by_label("Filter"), "nobody")
    expect(page.locator("#count")).to_have_text(f"0 of {ALL} tenants.")
    yield "a filter without tenants"
    keys.press(page.get_by_label("Filter"), "Escape")
    expect(page.locator("#count")).to_have_text(f"{ALL} of {ALL} tenants.")
    keys.press(page.get_by_role("columnheader", name="Owner").get_by_role("link"))
    expect(page.get_by_role("columnheader", name="Owner")).to_have_attribute("aria-sort", "ascending")
    with page.expect_response("**/refresh"):
        keys.press(visit.button("Refresh"), "Space")


@story(
    *(f"GET /tenants/{{tenant}}{part}" for part in ("", "/state", "/facts", "/tokens", "/data/{part}")),
    "POST /tenants/{tenant}/revoke",
    changes=("waits for your answer", "not confirmed"),
)
def a_tenant_is_looked_at_and_its_token_revoked(visit: Visit) -> Iterator[str]:
    page, keys = visit.page, visit.keys
    visit.open("/")
    keys.press(visit.link("shop"))
    expect(page.get_by_role("heading", name="shop", exact=True)).to_be_visible()
    settled(page)
    visit.open_details()
    keys.press(visit.button("Copy").first, "Space")
    expect(visit.button("Copied")).to_be_visible()
    yield "a tenant with data"
    _follows_files(visit, "/tenants/shop/tokens")
    keys.press(visit.button(f"Revoke the token {TOKEN.id}"))
    expect(visit.button("Apply")).to_be_visible()
    yield "the question about a token"
    keys.press(visit.button("No"), "Space")
    expect(page.get_by_role("status")).to_have_text("not confirmed")
    yield "a change that is not confirmed"


@story(
    "GET /add",
    "POST /add",
    "GET /add/name",
    *(f"GET /changes/{{change}}{part}" for part in ("", "/progress", "/output")),
    "POST /changes/{change}/answer",
    "GET /tenants/{tenant}/connect",
    changes=("waits for your answer", "working", "done"),
)
def a_tenant_is_added_while_others_look(visit: Visit) -> Iterator[str]:
    page, keys = visit.page, visit.keys
    visit.open("/")
    keys.press(visit.link("Add a tenant"))
    name, owner = page.get_by_label("Name", exact=True), page.get_by_label("owner")
    keys.write(name, "Cart")
    expect(page.get_by_text("use 1 to 30 characters")).to_be_visible()
    yield "a wrong name"
    keys.write(name, "cart")
    expect(name).not_to_have_attribute("aria-invalid", "true")
    keys.write(owner, "<b>Bob</b>", "Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    visit.open_details()
    yield "a refused form, with all settings"
    keys.write(owner, "Bob", "Enter")
    expect(visit.button("Apply")).to_be_visible()
    yield "a plan and its question"
    stage(visit.folder, WAITS)
    keys.press(visit.button("Apply"))
    expect(page.locator(".operation li").first).to_be_visible()
    visit.open_details()
    expect(page.locator("#output")).to_contain_text("created")
    yield "an update"
    visit.open("/")
    expect(page.locator("#banner")).to_contain_text("under way")
    yield "the list during an update"
    keys.press(page.locator("#banner").get_by_role("link"))
    stage(visit.folder, COMPLETES)
    wait_for_end(page)
    expect(page.locator("#connect details")).to_be_visible()
    visit.open_details()
    yield "an addition that is done"


@story(
    "GET /tenants/{tenant}/change",
    "POST /tenants/{tenant}/change",
    "POST /changes/{change}/again",
    "GET /changes",
    changes=("failed",),
)
def a_killed_update_runs_again(visit: Visit) -> Iterator[str]:
    page, keys = visit.page, visit.keys
    visit.open("/tenants/shop")
    keys.press(visit.link("Change"))
    keys.press(page.get_by_label("Replace volumes"), "Space")
    expect(page.get_by_label("Replace volumes")).to_be_checked()
    yield "a form with the settings of a tenant"
    keys.write(page.get_by_label("owner"), "Zoe", "Enter")
    expect(visit.button("Apply")).to_be_visible()
    stage(visit.folder, IS_KILLED)
    keys.press(visit.button("Apply"))
    expect(visit.button("Run it again")).to_be_visible()
    visit.open_details()
    yield "an update that was killed"
    stage(visit.folder, COMPLETES)
    keys.press(visit.button("Run it again"), "Space")
    keys.press(visit.button("Apply"), "Space")
    wait_for_end(page)
    keys.press(visit.link("Changes"))
    expect(page.get_by_role("row")).not_to_have_count(0)
    yield "the list of changes"


@story("POST /changes/{change}/answer", changes=("not confirmed",))
def an_answer_comes_too_late(visit: Visit) -> Iterator[str]:
    page = visit.page
    visit.show_plan("shop", "Ann")
    page.route(STREAM, lambda _: None)  # it is never answered, so the question stays
    page.reload()
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_role("button", name="No", exact=True).press("Enter")
    expect(other.get_by_role("status")).to_have_text("not confirmed")
    other.close()
    visit.keys.press(visit.button("Apply"))
    expect(page.get_by_text("Your answer was not taken")).to_be_visible()
    page.unroute_all()
    yield "an answer that came too late"


@story("GET /tenants/{tenant}/delete", "POST /tenants/{tenant}/delete", changes=("done",))
def a_tenant_is_deleted(visit: Visit) -> Iterator[str]:
    page, keys = visit.page, visit.keys
    visit.open("/tenants/billing/delete")
    expect(page.get_by_text("the tenant billing is protected")).to_be_visible()
    yield "a protected tenant"
    visit.open("/tenants/shop/delete")
    expect(page.get_by_label("Tokens")).to_be_visible()
    yield "a tenant with tokens"
    visit.open("/tenants/default")
    keys.press(visit.link("Delete"))
    typed = page.get_by_label("Type the tenant's name to go on")
    keys.write(typed, "shop", "Enter")
    expect(page.get_by_role("alert")).to_contain_text("is not the name default")
    yield "another name"
    keys.choose(page.get_by_label("Data", exact=True), "retain")
    keys.press(page.get_by_label("Delete it even if"), "Space")
    keys.write(typed, "default")
    keys.press(visit.button("Delete default"))
    wait_for_end(page)
    yield "a deletion that is done"


@story(
    "GET /retained",
    "GET /retained/rows",
    "GET /retained/{tenant}/{store}",
    *(f"POST /retained/{{tenant}}/{{store}}/{action}" for action in ("adopt", "expire", "purge")),
    changes=("waits for your answer", "done"),
)
def retained_data_expires_and_is_deleted(visit: Visit) -> Iterator[str]:
    page, keys = visit.page, visit.keys
    visit.open("/retained")
    yield "retained data"
    keys.press(visit.link(KEPT))
    typed = page.get_by_label("Type the tenant's name to delete this data for good")
    expect(typed).to_be_visible()
    yield "retained data of a tenant"
    keys.write(typed, "shop", "Enter")
    expect(page.get_by_role("alert")).to_contain_text(f"is not the name {KEPT}")
    yield "another name than that of the data"
    keys.press(visit.button("Show the plan"))
    expect(visit.button("Apply")).to_be_visible()
    yield "the question about an adoption"
    keys.press(visit.button("No"), "Space")
    expect(page.get_by_role("status")).to_have_text("not confirmed")
    visit.open(f"/retained/{KEPT}/{KEPT_ID}")
    keys.write(page.get_by_label("Days from now"), "3")
    keys.press(visit.button("Let it expire"))
    wait_for_end(page)
    visit.open(f"/retained/{KEPT}/{KEPT_ID}")
    keys.write(typed, KEPT)
    keys.press(visit.button("Delete the data"))
    wait_for_end(page)
    yield "data that is deleted"


@story("GET /explore", "GET /explore/query", "GET /explore/{tenant}/{api}/{path:path}")
def metrics_and_logs_are_explored(visit: Visit) -> Iterator[str]:
    page, keys = visit.page, visit.keys
    visit.open("/")
    keys.press(visit.link("Explore"))
    editor, options = page.get_by_role("textbox", name="Query"), page.locator(".cm-tooltip-autocomplete [role=option]")
    keys.write(editor, "s")
    expect(options.first).to_be_visible()
    yield "options of the completion"
    keys.press(editor, "Control+Space")
    expect(options.first).to_be_visible()
    page.keyboard.press("Escape")
    expect(options).to_have_count(0)
    expect(editor).to_be_focused()
    page.keyboard.press("Control+Space")
    expect(options.first).to_be_visible()
    page.keyboard.press("Tab")  # leaves the editor also while it shows options
    expect(visit.button("Run")).to_be_focused()
    expect(options).to_have_count(0)
    for field in (editor, page.get_by_label("Last")):
        page.keyboard.press("Shift+Tab")
        expect(field).to_be_focused()
    keys.write(editor, METRICS_QUERY, "Control+Enter")
    expect(page.locator("#status")).to_have_text("3 series.")
    keys.press(page.get_by_role("img", name="Plot of 3 series"), "ArrowLeft")
    expect(page.locator("#series thead")).to_contain_text("Value at")
    yield "a plot"
    keys.write(editor, BROKEN)
    page.keyboard.press("Delete")  # the bracket that the editor closed
    page.keyboard.press("Control+Enter")
    expect(page.locator("#error")).to_contain_text("parse error")
    keys.press(editor, "Control+Shift+M")
    expect(page.get_by_role("listbox", name="Diagnostics")).to_be_visible()
    yield "an error of a query"
    keys.press(page.get_by_role("listbox", name="Diagnostics"), "Escape")
    keys.choose(page.get_by_label("Language"), "logql")
    keys.write(editor, LOGS_QUERY)
    keys.press(visit.button("Run"), "Space")
    expect(page.locator("#status")).to_have_text("12 lines, the newest first.")
    keys.press(page.get_by_label("Lines"), "End")
    page.wait_for_function("() => document.getElementById('lines').scrollTop > 0")
    yield "lines of a log"


@story(
    *(f"GET /instance{part}" for part in ("", "/gateway", "/header", "/data/{part}")),
    "POST /instance/check",
)
def the_instance_is_checked(visit: Visit) -> Iterator[str]:
    page = visit.page
    visit.open("/")
    visit.keys.press(visit.link("Instance"))
    expect(page.get_by_role("heading", name=f"Instance {INSTANCE}")).to_be_visible()
    settled(page)
    visit.open_details()
    yield "the instance"
    _follows_files(visit, "/instance/header")
    visit.keys.press(visit.button("Check account, network, domain and cluster"))
    expect(page.get_by_role("columnheader", name="Check")).to_be_visible()
    settled(page)
    yield "findings of the checks"


@story()
def the_page_does_not_answer(visit: Visit) -> Iterator[str]:
    def refuse(route: Route) -> None:
        route.abort()

    for parts in (STREAM, "**/data/use"):
        visit.page.route(parts, refuse)
    visit.open("/tenants/ops")
    expect(visit.page.locator("#connection")).to_be_visible()
    expect(visit.page.get_by_text("The page does not answer. Load it again.")).to_be_visible()
    yield "a page without an answer"
    visit.page.unroute_all()


@story()
def the_stack_file_is_invalid(visit: Visit) -> Iterator[str]:
    file = visit.folder / f"Pulumi.{INSTANCE}.yaml"
    before = file.read_text()
    file.write_text(re.sub("owner: platform", "owner: <b>platform</b>", before))
    try:
        visit.open("/")
        expect(visit.page.locator("#list-error")).to_be_visible()
        yield "the list of an invalid file"
        visit.open("/instance")
        yield "an invalid file"
    finally:
        file.write_text(before)
