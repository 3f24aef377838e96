"""The stored bytes of tenants in the list: sums of S3's lists, kept for a time that depends on their price, and why there are none."""

import re
import threading
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from components.core.units import DAY, HOUR
from scripts.stackfile.file import StackFile
from scripts.tenants.reports.list_and_show import list_tenants
from scripts.web.data import stored
from scripts.web.data.stored import LIST_SECONDS, RETRY_SECONDS
from scripts.web.fault import FAULT
from tests.support.factories import settings
from tests.support.page import Site, applied
from tests.support.polling import eventually
from tests.support.s3_stores import make_store

LISTS = 6  # of a tenant with few objects: of versions and of uploads, in three buckets


@pytest.fixture
def stack_settings() -> dict[str, Any]:
    return settings(tenants=[{"name": "default"}, {"name": "ops"}])


class CountedS3:
    """Paginators of S3 that repeat lists, and fail for buckets whose names begin with a key of `errors` or `late_errors`.

    Attributes:
        lists: The bucket of each answer to a LIST request.
        errors: Errors in place of answers.
        late_errors: Errors after the answers.
    """

    def __init__(self, s3: Any) -> None:
        self.lists: list[str] = []
        self.errors: dict[str, Exception] = {}
        self.late_errors: dict[str, Exception] = {}
        self.repeated = 1
        self._s3 = s3

    def get_paginator(self, operation: str) -> "CountedS3":
        one = CountedS3(self._s3.get_paginator(operation))
        one.lists, one.errors, one.late_errors, one.repeated = self.lists, self.errors, self.late_errors, self.repeated
        return one

    def paginate(self, **request: Any) -> Any:
        self._fail(self.errors, request["Bucket"])
        for page in [*self._s3.paginate(**request)] * self.repeated:
            self.lists.append(request["Bucket"])
            yield page
        self._fail(self.late_errors, request["Bucket"])

    def _fail(self, errors: dict[str, Exception], bucket: str) -> None:
        for name, error in errors.items():
            if bucket.startswith(name):
                raise error


@pytest.fixture
def s3_counted(s3: Any) -> CountedS3:
    for tenant in ("default", "ops", "system"):
        store = make_store(s3, tenant)
        for kind, size in (("metrics", 2_000_000), ("logs", 500_000), ("config", 10)):
            if tenant != "ops":
                s3["s3"].put_object(Bucket=store.buckets[kind], Key="1", Body=b"x" * size)
    return CountedS3(s3["s3"])


class Clock:
    """The time of the sums."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(stored, "time", clock)
    return clock


@pytest.fixture
def site(make_site: Callable[..., Site], s3_counted: CountedS3) -> Site:
    """A page whose tenants are applied, and that has read the states."""
    site = make_site(aws={"s3": s3_counted})
    site.states = applied(site.stack.parent)
    site.read()
    return site


def summed(site: Site) -> None:
    """Sum what is due, as while a browser looks."""
    with site.page.tenants.watched():
        site.page.stored.read()


def cells(site: Site) -> dict[str, str]:
    """Return the texts of the cells with stored bytes, by tenant."""
    page = site.browser().get("/")
    rows = re.findall(r'<tr id="tenant-(\w+)">(.*?)</tr>', page, re.DOTALL)
    return {name: re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)[5] for name, row in rows}


def denied(operation: str = "ListObjectVersions", code: str = "AccessDenied") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "Access Denied"}}, operation)


def test_the_list_shows_the_bytes_that_the_command_shows(site: Site, clock: Clock) -> None:
    assert {*cells(site).values()} == {"being summed"}
    assert "Stored bytes of 3 tenants are being summed." in site.browser().get("/ages")
    summed(site)
    assert cells(site) == {"default": "2.5 MB", "ops": "0 B", "system": "2.5 MB"}
    ages = site.browser().get("/ages")
    assert "Stored bytes are of 1970-01-12 13:46:40 UTC or later." in ages and "being summed" not in ages
    by_command = {one["name"]: one["storedBytes"] for one in list_tenants(site.context, "local", "showdown")}
    assert by_command == {name: site.page.stored.of(name) for name in by_command} and by_command["default"] == 2_500_010


@pytest.mark.parametrize(("order", "first"), [("ascending", "ops"), ("descending", "system")])
def test_the_list_is_sorted_by_stored_bytes(
    site: Site, s3_counted: CountedS3, clock: Clock, order: str, first: str
) -> None:
    s3_counted.repeated = 2
    s3_counted.errors["showdown-default"] = denied()
    summed(site)
    del s3_counted.errors["showdown-default"]
    s3_counted.repeated = 1
    clock.now += HOUR
    summed(site)
    assert site.page.stored.of("system") == 2 * (site.page.stored.of("default") or 0)
    assert (
        next(iter(re.findall(r'<tr id="tenant-(\w+)">', site.browser().get(f"/?sort=stored&order={order}")))) == first
    )


def test_a_sum_is_kept_for_an_hour_and_longer_the_more_lists_it_takes(
    site: Site, s3_counted: CountedS3, clock: Clock
) -> None:
    summed(site)
    assert len(s3_counted.lists) == 3 * LISTS
    clock.now += HOUR - 1
    summed(site)
    assert len(s3_counted.lists) == 3 * LISTS
    clock.now += 1
    s3_counted.repeated = 5
    summed(site)
    assert len(s3_counted.lists) == 3 * LISTS * (1 + 5)
    clock.now += 5 * LISTS * LIST_SECONDS - 1
    s3_counted.repeated = 1000
    summed(site)
    assert len(s3_counted.lists) == 3 * LISTS * (1 + 5)
    clock.now += 1
    summed(site)
    assert len(s3_counted.lists) == 3 * LISTS * (1 + 5 + 1000)
    clock.now += DAY - 1
    summed(site)
    assert len(s3_counted.lists) == 3 * LISTS * (1 + 5 + 1000)
    clock.now += 1
    s3_counted.repeated = 1
    summed(site)
    assert len(s3_counted.lists) == 3 * LISTS * (1 + 5 + 1000 + 1)


def test_nothing_is_summed_while_no_browser_looks(site: Site, s3_counted: CountedS3) -> None:
    site.page.stored.read()
    assert s3_counted.lists == [] and {*cells(site).values()} == {"being summed"}


def test_a_browser_that_looks_begins_the_sums_and_is_told(site: Site, s3_counted: CountedS3) -> None:
    site.page.stored.start()

    def end() -> None:
        eventually(lambda: site.page.stored.version > 0 and not site.page.stored.missing, 60)
        site.page.is_ending = True

    ender = threading.Thread(target=end)
    ender.start()
    text = site.browser().get("/events")
    ender.join(60)
    site.page.stored.stop()
    assert len(s3_counted.lists) == 3 * LISTS and text.count("event: tenants") >= 1


def test_before_the_states_are_read_and_for_tenants_that_are_not_applied_the_list_says_so(
    make_site: Callable[..., Site], s3_counted: CountedS3
) -> None:
    site = make_site(aws={"s3": s3_counted})
    summed(site)
    assert {*cells(site).values()} == {"being read"}
    site.read()
    summed(site)
    assert {*cells(site).values()} == {"none"} and s3_counted.lists == []


@pytest.mark.parametrize("denies", [False, True])
def test_a_tenant_with_other_buckets_is_summed_at_once_and_one_that_is_gone_is_forgotten(
    site: Site, s3_counted: CountedS3, denies: bool
) -> None:
    summed(site)
    entries = [entry for entry in site.states["showdown"] if "tenant-system" not in entry["urn"]]
    (bucket,) = (entry for entry in entries if entry["urn"].endswith("tenant-ops-metrics-bucket"))
    bucket["id"] = bucket["id"].replace("ops", "default")  # has no such bucket, which counts as empty
    site.states["showdown"] = entries
    site.page.tenants.states.refresh()
    site.read()
    s3_counted.errors = {"showdown-ops": denied()} if denies else {}
    summed(site)
    assert len(s3_counted.lists) == 3 * LISTS + (0 if denies else LISTS - 2)
    assert site.page.stored.of("system") is None
    assert site.page.stored.of("ops") == (None if denies else 0)  # the old sum is that of other buckets


def test_what_s3_refuses_is_told_with_its_remedy_and_the_other_tenants_are_summed(
    site: Site, s3_counted: CountedS3, clock: Clock
) -> None:
    s3_counted.errors["showdown-ops"] = denied()
    summed(site)
    page = site.browser().get("/")
    assert cells(site) == {"default": "2.5 MB", "ops": "see above", "system": "2.5 MB"}
    assert "Stored bytes of ops: An error occurred (AccessDenied) when calling the ListObjectVersions" in page
    assert "`s3:ListBucketVersions`" in page
    s3_counted.errors = {"showdown-": denied()}
    clock.now += HOUR
    summed(site)
    assert cells(site) == {"default": "2.5 MB", "ops": "see above", "system": "2.5 MB"}  # old ones stay
    page = site.browser().get("/")
    assert "Stored bytes of default and 2 others: " in page and "Stored bytes are of 1970-01-12 13:46:40 UTC" in page
    s3_counted.errors.clear()
    clock.now += HOUR - 1  # the rights seldom change sooner
    summed(site)
    assert cells(site)["ops"] == "see above"
    clock.now += 1
    summed(site)
    page = site.browser().get("/")
    assert cells(site)["ops"] == "0 B" and "no-stored" not in page and "Stored bytes are of 1970-01-12 15:46:40" in page


@pytest.mark.parametrize(
    "error",
    [
        ReadTimeoutError(endpoint_url="https://s3.example.com"),
        ConnectionClosedError(endpoint_url="https://s3.example.com"),
        ResponseParserError("no XML"),
        denied(code="InternalError"),
        ZeroDivisionError(),
    ],
)
def test_an_error_of_one_tenant_leaves_the_others_alone(site: Site, s3_counted: CountedS3, error: Exception) -> None:
    s3_counted.errors["showdown-default"] = error
    summed(site)
    page = unescape(site.browser().get("/"))
    assert cells(site) == {"default": "see above", "ops": "0 B", "system": "2.5 MB"}
    assert f"Stored bytes of default: {FAULT if isinstance(error, ZeroDivisionError) else error}" in page


@pytest.mark.parametrize(
    "error", [ReadTimeoutError(endpoint_url="https://s3.example.com"), denied(code="ExpiredToken"), denied()]
)
def test_a_sum_that_fails_late_is_no_dearer_than_one_that_succeeds(
    site: Site, s3_counted: CountedS3, clock: Clock, error: Exception
) -> None:
    def lists() -> int:
        return sum(bucket.startswith("showdown-ops") for bucket in s3_counted.lists)

    s3_counted.repeated, s3_counted.late_errors["showdown-ops"] = 10, error
    summed(site)
    first = lists()  # an error ends the sum, so some lists may be missing
    assert 10 <= first <= 3 * 10 and cells(site)["default"] == cells(site)["system"] == "25.0 MB"
    clock.now += (first + 3) * LIST_SECONDS - 1
    summed(site)
    assert lists() == first
    clock.now += 1
    s3_counted.repeated = 1000
    summed(site)
    second = lists()
    assert second >= first + 1000
    clock.now += DAY - 1
    summed(site)
    assert lists() == second
    clock.now += 1
    s3_counted.repeated = 1
    s3_counted.late_errors.clear()
    summed(site)
    assert lists() == second + LISTS and cells(site)["ops"] == "0 B"


def test_refresh_sums_what_failed_and_nothing_else(site: Site, s3_counted: CountedS3) -> None:
    s3_counted.errors["showdown-ops"] = denied()
    summed(site)
    s3_counted.errors.clear()
    summed(site)
    assert cells(site)["ops"] == "see above"
    site.browser().post("/refresh", 204)
    summed(site)
    assert cells(site) == {"default": "2.5 MB", "ops": "0 B", "system": "2.5 MB"} and len(s3_counted.lists) == 3 * LISTS


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="https://s3.example.com"),
        NoCredentialsError(),
        denied(code="ExpiredToken"),
    ],
)
def test_an_outage_is_told_once_and_asked_for_again_later(
    site: Site, s3_counted: CountedS3, clock: Clock, error: Exception
) -> None:
    s3_counted.errors["showdown-"] = error
    before = site.page.subject.target()
    summed(site)
    assert {*cells(site).values()} == {"see above"} and f"Stored bytes: {error}" in unescape(site.browser().get("/"))
    assert site.page.subject.target() is not before  # credentials may have expired
    s3_counted.errors.clear()
    summed(site)
    assert s3_counted.lists == []
    clock.now += RETRY_SECONDS
    summed(site)
    assert cells(site)["default"] == "2.5 MB" and "no-stored" not in site.browser().get("/")


def test_a_sum_beside_an_outage_is_kept_and_refresh_asks_again_at_once(site: Site, s3_counted: CountedS3) -> None:
    s3_counted.errors["showdown-default"] = EndpointConnectionError(endpoint_url="https://s3.example.com")
    summed(site)
    browser = site.browser()
    assert cells(site) == {"default": "see above", "ops": "see above", "system": "2.5 MB"}
    assert "being summed" not in browser.get("/ages")  # nothing is, until the outage ends
    s3_counted.errors.clear()
    browser.post("/refresh", 204)
    summed(site)
    assert cells(site) == {"default": "2.5 MB", "ops": "0 B", "system": "2.5 MB"} and len(s3_counted.lists) == 3 * LISTS


def test_the_first_sum_after_an_outage_ends_what_is_told_of_it(
    site: Site, s3_counted: CountedS3, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3_counted.errors["showdown-"] = EndpointConnectionError(endpoint_url="https://s3.example.com")
    summed(site)
    s3_counted.errors.clear()
    clock.now += RETRY_SECONDS
    monkeypatch.setattr(site.page.stored, "_is_watched", iter([True, False]).__next__)  # for the first two tenants
    site.page.stored.read()
    assert "no-stored" not in site.browser().get("/") and cells(site)["ops"] == "being summed"
    assert "Stored bytes of 1 tenant are being summed." in site.browser().get("/ages")


def test_what_the_list_says_already_is_not_said_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise OSError("the account does not answer")

    site.page.subject.forget_target()
    monkeypatch.setattr(site.context, "clients", fail)
    site.read()
    summed(site)
    page = site.browser().get("/")
    assert page.count("the account does not answer") == 1 and {*cells(site).values()} == {"see above"}


def test_a_fault_is_told_and_its_traceback_stands_in_the_terminal(
    site: Site, s3_counted: CountedS3, capfd: Any
) -> None:
    s3_counted.errors["showdown-"] = ZeroDivisionError()
    summed(site)
    assert "this is a fault of opstrace" in site.browser().get("/") and "ZeroDivisionError" in capfd.readouterr().err


def test_the_end_of_the_page_ends_a_sum(site: Site, s3_counted: CountedS3) -> None:
    """Otherwise, Ctrl-C would wait for a bucket of a million objects."""
    s3_counted.repeated = 1_000_000
    thread = threading.Thread(target=summed, args=(site,))
    thread.start()
    eventually(lambda: len(s3_counted.lists) > 10, 60)
    site.page.stored.stop()
    thread.join(30)
    assert not thread.is_alive() and len(s3_counted.lists) < 1_000_000
    assert {*cells(site).values()} == {"being summed"}


def test_nothing_is_summed_or_told_after_the_end(
    site: Site, s3_counted: CountedS3, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    def refuse(*_: Any) -> Any:
        site.page.stored.stop()
        raise RuntimeError("cannot schedule new futures after shutdown")  # as Python does while it ends

    monkeypatch.setattr(stored, "map_concurrently", refuse)
    summed(site)
    monkeypatch.undo()
    summed(site)
    assert s3_counted.lists == [] and site.page.stored.why is None and capfd.readouterr().err == ""


def test_the_list_with_a_thousand_tenants_does_not_wait_for_sums(site: Site, s3_counted: CountedS3) -> None:
    names = [f"tenant{number}" for number in range(1000)]
    file = StackFile("showdown", site.stack.parent)
    file.set("tenants", [{"name": name} for name in names])
    file.write()
    site.states = applied(site.stack.parent)
    site.page.tenants.states.refresh()
    site.read()
    ended = threading.Event()

    class Waiting:
        def get_paginator(self, _: str) -> Any:
            ended.wait(60)
            raise denied()

    site.context.aws["s3"] = Waiting()
    thread = threading.Thread(target=summed, args=(site,))
    thread.start()
    try:
        assert site.browser().get("/").count("being summed<") == 1001
    finally:
        site.page.stored.stop()
        ended.set()
        thread.join(60)
