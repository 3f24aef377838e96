"""A tenant that is deleted in a browser, and whose data is given back there: its old samples and lines answer again."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from tests.support.browser import SECONDS, chromium
from tests.support.polling import eventually
from tests.support.served_page import (
    apply,
    delete,
    let_expire,
    open_retained,
    purge,
    refuses_to_delete_what_is_protected,
    require_not_retained,
    served_instance,
    show_plan,
    wait_for_end,
)
from tests.support.user_session import INSTANCE, UserSession, url

TENANT, LINE = "pagekept", "a line that was kept"
SAMPLES, LINES = quote("kept[1d]"), quote('{job="kept"}')
BLOCK_SECONDS = 300  # until Cortex finds blocks that another pod wrote


def values(walk: UserSession, token: str) -> Any:
    """Return the samples of a day of the tenant; None if the query fails, as it may while old data is loaded."""
    status, body = walk.curl(url("cortex", TENANT, f"/api/v1/query?query={SAMPLES}"), token=token)
    if status != 200:
        return None
    return [value for series in json.loads(body)["data"]["result"] for _, value in series["values"]]


def has_line(walk: UserSession, token: str) -> bool:
    return LINE in walk.curl(url("loki", TENANT, f"/loki/api/v1/query_range?query={LINES}"), token=token)[1]


@pytest.mark.nightly  # minutes; test_page_walk.py lists retained data, lets it expire and deletes it in each run
def test_retained_data_answers_again_after_its_adoption_in_a_browser(
    walk: UserSession, trusted_pair: str, file_as_before: None
) -> None:
    token = walk.opstrace("ta-create-token", INSTANCE, TENANT, trusted_pair).stdout
    with served_instance(walk) as started, chromium() as browser:
        page, problems = started.open(browser)
        show_plan(page, TENANT)
        apply(page)
        wait_for_end(page)
        eventually(lambda: walk.push_line(TENANT, LINE, token, "kept")[0] == 204, SECONDS)
        assert walk.push_sample(TENANT, {"__name__": "kept"}, 4711, token)[0] == 200
        refuses_to_delete_what_is_protected(walk, page, TENANT)
        delete(page, TENANT, "keep it", tokens="keep them valid: they open a later tenant of this name")
        wait_for_end(page)
        kept = walk.buckets(TENANT)

        open_retained(page, TENANT)
        day = let_expire(page, TENANT, days=3)
        open_retained(page, TENANT, expires=day)
        page.get_by_role("button", name="Show the plan").press("Enter")
        expect(page.get_by_text(f"1 tenant to add ({TENANT})")).to_be_visible()
        apply(page)
        wait_for_end(page)
        expect(page.locator("#connect")).to_contain_text(url("cortex", TENANT, ""))
        eventually(lambda: has_line(walk, token), SECONDS)
        eventually(lambda: values(walk, token) == ["4711"], BLOCK_SECONDS)
        assert walk.buckets(TENANT) == kept
        require_not_retained(page, TENANT)

        delete(page, TENANT, "keep it", tokens="revoke them")
        wait_for_end(page)
        open_retained(page, TENANT)
        purge(page, TENANT)
        (refused,) = problems  # another tenant's name, typed before the right one
        assert "422" in refused
    assert walk.buckets(TENANT) == []
