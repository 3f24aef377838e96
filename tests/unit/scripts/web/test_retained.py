"""Retained data in a browser: the verbs' guards, questions and results, and hostile requests."""

from collections.abc import Callable
from typing import Any

import pytest

from scripts.tenants.retained_data import buckets, stores
from tests.support.page import ORIGIN, Browser, Site, asks
from tests.support.s3_stores import ID, make_store, record_retention

ONE = f"/retained/gone/{ID}"
FORMS = [("adopt", {}), ("expire", {"days": "30"}), ("purge", {"name": "gone"})]


@pytest.fixture
def store(s3: Any) -> stores.Store:
    """The data of a deleted tenant, with an object that was written twice."""
    made = make_store(s3, "gone")
    record_retention(s3, made, 30)
    s3["s3"].put_bucket_versioning(Bucket=made.buckets["logs"], VersioningConfiguration={"Status": "Enabled"})
    for content in (b"old", b"new"):
        s3["s3"].put_object(Bucket=made.buckets["logs"], Key="a", Body=content)
    return made


@pytest.fixture
def site(make_site: Callable[..., Site], s3: Any) -> Site:
    return make_site(aws=s3)


def ended(browser: Browser, location: str) -> tuple[str, str]:
    """Return the state of a change that has ended, and its page."""
    change = browser.change(location)
    change.wait(30)
    return change.state, browser.get(f"/changes/{change.id}")


def test_retained_data_is_listed_with_its_size(site: Site, store: stores.Store) -> None:
    browser = site.browser()
    assert 'hx-get="/retained/rows"' in browser.get("/retained")
    rows = browser.get("/retained/rows")
    assert f'<a href="{ONE}">gone</a>' in rows and "<td>1</td>" in rows and "<td>6 B</td>" in rows
    page = browser.get(ONE)
    assert "1 objects, 6 B, 1 old versions" in page and store.buckets["config"] in page


def test_without_retained_data_the_page_says_so(site: Site) -> None:
    browser = site.browser()
    assert "No data of deleted tenants is retained." in browser.get("/retained/rows")
    assert f"No data of gone with the id {ID} is retained." in browser.get(ONE, 404)


def test_data_is_deleted_once_the_name_was_typed(site: Site, store: stores.Store, s3: Any) -> None:
    browser = site.browser()
    for typed in ("", "Gone", "default"):
        assert "is not the name gone: nothing is changed" in browser.post(f"{ONE}/purge", 422, name=typed)
    assert buckets.exists(s3, store.buckets["logs"])
    state, page = ended(browser, browser.post(f"{ONE}/purge", name="gone"))
    assert state == "done" and f"Nothing is left of the retained data of gone ({ID})" in page
    assert not any(buckets.exists(s3, bucket) for bucket in store.buckets.values())
    assert "Delete the retained data of gone" in browser.get("/changes")


def test_data_expires_on_the_day_that_was_chosen(site: Site, store: stores.Store, s3: Any) -> None:
    browser = site.browser()
    for days in ("", "0", "-1", "3651", "1.5", "٣", "9" * 10_000):
        assert "is not a number of days from 1 to 3650" in browser.post(f"{ONE}/expire", 422, days=days)
    assert buckets.expires_on(s3, store.buckets.values()) is None
    state, page = ended(browser, browser.post(f"{ONE}/expire", days="30"))
    day = buckets.expires_on(s3, store.buckets.values())
    assert state == "done" and day and f"on {day} (UTC)" in page
    assert f"<td>{day}</td>" in browser.get("/retained/rows")


def test_data_is_adopted_after_the_difference_and_the_plan_were_confirmed(site: Site, store: stores.Store) -> None:
    browser, before = site.browser(), site.stack.read_text()
    for answer, state, updates in (("no", "not confirmed", 0), ("yes", "done", 2)):
        change = browser.change(browser.post(f"{ONE}/adopt"))
        assert asks(change) == "Apply this change?" and site.stack.read_text() == before
        page = browser.get(f"/changes/{change.id}")
        assert "+    - name: gone" in page and "metrics: 30d" in page and "tenants to add" in page
        browser.answer(change, answer)
        change.wait(30)
        assert change.state == state and len(site.updates) == updates, change.error
    assert site.updates[0].startswith("imported ") and "name: gone" in site.updates[1]


def test_data_is_not_adopted_into_a_file_that_changed_while_a_page_asked(site: Site, store: stores.Store) -> None:
    browser = site.browser()
    change = browser.change(browser.post(f"{ONE}/adopt"))
    assert asks(change)
    site.stack.write_text(site.stack.read_text() + "# another program\n")
    browser.answer(change, "yes")
    change.wait(30)
    assert change.error and "was changed by another program" in change.error
    assert site.updates == []


@pytest.mark.parametrize(("action", "fields"), [form for form in FORMS if form[0] != "adopt"])
def test_what_asks_for_no_confirmation_begins_with_its_form_again(
    site: Site, store: stores.Store, action: str, fields: dict[str, Any]
) -> None:
    browser = site.browser()
    change = browser.change(browser.post(f"/retained/gone/ffffffff/{action}", **fields))
    change.wait(30)
    assert change.state == "failed" and not change.can_run_again
    assert "cannot run again" in browser.post(f"/changes/{change.id}/again", 409)


def test_incomplete_data_is_not_adopted(site: Site, store: stores.Store, s3: Any) -> None:
    s3["s3"].delete_bucket(Bucket=store.buckets["config"])
    browser = site.browser()
    state, page = ended(browser, browser.post(f"{ONE}/adopt"))
    assert state == "failed" and "is incomplete: the bucket for config is gone" in page and site.updates == []


def test_an_id_that_is_not_there_changes_nothing(site: Site, store: stores.Store, s3: Any) -> None:
    browser = site.browser()
    state, page = ended(browser, browser.post("/retained/gone/ffffffff/purge", name="gone"))
    assert state == "failed" and "no data of gone with the id ffffffff is retained" in page
    assert all(buckets.exists(s3, bucket) for bucket in store.buckets.values())


@pytest.mark.parametrize(("action", "fields"), FORMS)
def test_hostile_forms_are_refused(site: Site, store: stores.Store, action: str, fields: dict[str, str]) -> None:
    client = site.browser().client
    for headers, csrf in ((ORIGIN, ""), (ORIGIN, "x"), ({"Origin": "http://evil.example"}, "x")):
        assert client.post(f"{ONE}/{action}", data={"csrf": csrf, **fields}, headers=headers).status_code == 403
    assert client.get(f"{ONE}/{action}").status_code == 405
    assert site.stranger().post(f"{ONE}/{action}", data=fields, headers=ORIGIN).status_code == 401
    assert site.page.changes.all() == []


@pytest.mark.parametrize(("action", "fields"), FORMS)
def test_a_read_only_page_shows_data_and_has_no_forms(
    make_site: Callable[..., Site], s3: Any, store: stores.Store, action: str, fields: dict[str, str]
) -> None:
    site = make_site(aws=s3, read_only=True)
    browser = site.browser()
    page = browser.get(ONE)
    assert store.buckets["logs"] in page and "<form" not in page
    assert "--read-only" in browser.post(f"{ONE}/{action}", 403, **fields)
    assert site.page.changes.all() == []
