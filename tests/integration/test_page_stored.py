"""Stored bytes in the list: over an S3 server that refuses lists for a time, and in Chromium."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from playwright.sync_api import expect

from tests.support.backend import KEYS
from tests.support.browser import chromium
from tests.support.page import Site, applied
from tests.support.pictured import STORED_BYTES
from tests.support.refusing_s3 import READS, RefusingS3
from tests.support.s3_server import s3_server
from tests.support.s3_stores import make_store
from tests.support.screenshots import pictured
from tests.support.served_page import written_stack


@pytest.fixture
def refusing() -> Iterator[RefusingS3]:
    with s3_server() as (url, _):
        proxy = RefusingS3(url)
        yield proxy
        proxy.close()


@pytest.fixture
def s3(refusing: RefusingS3) -> Any:
    return boto3.client(
        "s3",
        "us-east-1",
        endpoint_url=refusing.url,
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
    )


def test_an_s3_that_refuses_lists_is_told_until_it_takes_them(refusing: RefusingS3, s3: Any, tmp_path: Path) -> None:
    file = written_stack(tmp_path)
    for tenant in ("default", "ops", "system"):
        store = make_store({"s3": s3}, tenant)
        s3.put_object(Bucket=store.buckets["logs"], Key="chunk", Body=b"x" * (1500 if tenant == "ops" else 1000))
    site = Site(file.path, tmp_path, aws={"s3": s3})
    site.states = applied(tmp_path)
    site.read()
    refusing.refused = READS
    with site.page.tenants.watched():
        site.page.stored.read()
        page = site.browser().get("/")
        assert page.count("see above<") == 3 * (1 + 3)  # with the figures, for which there is no key
        assert "Stored bytes of default and 2 others: An error occurred (AccessDenied) when calling the List" in page
        refusing.refused = ()
        site.page.stored.refresh()
        site.page.stored.read()
    row = re.findall(r'<tr id="tenant-ops">(.*?)</tr>', site.browser().get("/"), re.DOTALL)[0]
    assert "1.5 kB" in row and site.page.stored.of("ops") == 1500 and site.page.stored.of("default") == 1000


def test_the_sums_arrive_in_a_browser_without_a_reload(tmp_path: Path) -> None:
    with pictured(tmp_path) as started, chromium() as browser:
        page, problems = started.open(browser)
        shown = {tenant: page.locator(f"#tenant-{tenant} td").nth(5) for tenant in STORED_BYTES}
        expect(shown["shop"]).to_have_text("4.2 MB")
        expect(shown["default"]).to_have_text("21.0 kB")
        expect(page.locator("#ages")).to_contain_text("Stored bytes are of ")
        page.get_by_role("columnheader", name="Stored").get_by_role("link").click()
        by_size = [tenant for tenant, _ in sorted(STORED_BYTES.items(), key=lambda one: one[1])]
        expect(page.locator("#rows th")).to_have_text(by_size)
        assert problems == []
