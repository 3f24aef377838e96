"""A page for each test, and the clients of an account in this process."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.support.page import Site


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The clients of an account in this process."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        yield {"s3": boto3.client("s3", "us-east-1")}


@pytest.fixture
def make_site(stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Site]:
    def make(**options: Any) -> Site:
        return Site(stack, tmp_path_factory.mktemp("events"), **options)

    return make


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()
