"""A service of AWS that takes connections and never answers holds a read for a few seconds."""

from pathlib import Path
from typing import Any

import pytest
from botocore import endpoint
from botocore.exceptions import ReadTimeoutError
from pytest_httpserver import HTTPServer

from components.config.load import from_settings
from components.config.stack import StackConfig
from scripts.clients import aws, preflight
from scripts.clients.aws import LONG, SHORT, Clients, Timeouts
from scripts.clients.providers import Provider
from scripts.context.context import Context
from scripts.tenants.retained_data import buckets
from tests.support.factories import settings
from tests.support.hanging_server import hanging_server

VERSIONS = """<ListVersionsResult><IsTruncated>false</IsTruncated><Version><Key>a</Key><VersionId>1</VersionId>
<IsLatest>true</IsLatest><LastModified>2026-11-28T10:00:00Z</LastModified><Size>7</Size></Version></ListVersionsResult>"""
UPLOADS = "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


def with_s3(url: str) -> StackConfig:
    """Return the configuration of an instance whose S3 is at a URL."""
    return from_settings(settings(aws={"region": "us-west-2", "endpoints": {"s3": url}}), "showdown")


def test_a_read_from_an_s3_that_hangs_ends_after_its_tries() -> None:
    with hanging_server() as server:
        clients = Clients(KEYS, with_s3(server.url), Timeouts(read=0.2, retries=1))
        with pytest.raises(ReadTimeoutError):
            buckets.contents(clients, ["showdown-default-logs"])
        assert len(server.connections) == 2


def test_reads_while_somebody_waits_give_up_sooner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[Any] = []
    monkeypatch.setattr(preflight, "reached", lambda environment, config, timeouts: used.append(timeouts))
    context, config = Context(tmp_path), from_settings(settings(), "showdown")
    context.clients(Provider({}), config)
    context.hurried().clients(Provider({}), config)
    context.clients(Provider({}), config)
    assert used == [LONG, SHORT, LONG]
    seconds = (SHORT.connect + SHORT.read) * (1 + SHORT.retries)
    assert seconds <= 60 and aws.Clients(KEYS, config)._config.read_timeout == LONG.read


def test_a_read_while_somebody_waits_outlasts_an_s3_that_is_busy(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list has many pages, and one that fails discards the sum."""
    busy = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
    for _ in range(3):
        httpserver.expect_ordered_request("/showdown-default-logs").respond_with_data(busy, 503)
    httpserver.expect_ordered_request("/showdown-default-logs").respond_with_data(VERSIONS)
    httpserver.expect_ordered_request("/showdown-default-logs").respond_with_data(UPLOADS)
    monkeypatch.setattr(endpoint.time, "sleep", lambda _: None)  # between two tries
    assert buckets.contents(Clients(KEYS, with_s3(httpserver.url_for("")), SHORT), ["showdown-default-logs"]).size == 7
