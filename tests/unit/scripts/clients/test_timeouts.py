"""A service of AWS that takes connections and never answers holds a read for a few seconds."""

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from components.config.load import from_settings
from scripts.clients import aws, preflight
from scripts.clients.aws import LONG, SHORT, Clients, Timeouts
from scripts.clients.providers import Provider
from scripts.context.context import Context
from scripts.tenants.retained_data import buckets
from tests.support.factories import settings
from tests.support.hanging_server import hanging_server

KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


def test_a_read_from_an_s3_that_hangs_ends_after_its_tries() -> None:
    with hanging_server() as server:
        config = from_settings(settings(aws={"region": "us-west-2", "endpoints": {"s3": server.url}}), "showdown")
        clients = Clients(KEYS, config, Timeouts(read=0.2, retries=1))
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
    assert seconds <= 30 < LONG.read and aws.Clients(KEYS, config)._config.read_timeout == LONG.read
