"""Clouds that are asked too much are asked again later and later, and not all of their clients at the same moment."""

import itertools

import urllib3

from components.config import from_settings
from localcloud.plugins import aws_api, kubernetes_api
from scripts import aws, cluster
from tests.unit.given import settings


def pauses(retries: urllib3.Retry, times: int = 4) -> list[float]:
    """Return the seconds before each try."""
    found = []
    for _ in range(times):
        retries = retries.increment("GET", "/", urllib3.HTTPResponse(status=429))
        found.append(retries.get_backoff_time())
    return found


def test_the_kubernetes_api_is_asked_again_with_backoff_and_jitter() -> None:
    first, second = (pauses(kubernetes_api.RETRIES) for _ in range(2))
    assert first != second and first[-1] > 2
    assert all(
        later > 1.5 * (sooner - kubernetes_api.RETRIES.backoff_jitter) for sooner, later in itertools.pairwise(first)
    )
    assert cluster.RETRIES.backoff_factor > 0 and cluster.RETRIES.backoff_jitter > 0
    assert {*cluster.RETRIES.status_forcelist} >= {*kubernetes_api.RETRIES.status_forcelist}


def test_aws_is_asked_again_as_its_own_tools_do() -> None:
    """botocore's `standard` mode is the backoff, with jitter, that the AWS SDKs' guide describes."""
    assert aws_api.RETRIES["mode"] == "standard" and aws_api.RETRIES["max_attempts"] > 3
    clients = aws.Clients({}, from_settings(settings(), "showdown"))
    assert clients._config.retries["mode"] == "standard"
