"""Requests that are throttled are retried with growing pauses, and with jitter, so that clients do not act at once."""

import itertools

import urllib3

from components.config.load import from_settings
from localcloud.plugins.aws import api as aws_api
from localcloud.plugins.kubernetes import api as kubernetes_api
from scripts.clients import aws, kubernetes
from tests.support.factories import settings


def pauses(retries: urllib3.Retry, times: int = 4) -> list[float]:
    """Return the seconds before each try."""
    delays = []
    for _ in range(times):
        retries = retries.increment("GET", "/", urllib3.HTTPResponse(status=429))
        delays.append(retries.get_backoff_time())
    return delays


def test_requests_to_the_kubernetes_api_are_retried_with_backoff_and_jitter() -> None:
    retries = urllib3.Retry(**kubernetes_api.RETRIES, allowed_methods=None)
    first, second = (pauses(retries) for _ in range(2))
    assert first != second and first[-1] > 2
    assert all(later > 1.5 * (sooner - retries.backoff_jitter) for sooner, later in itertools.pairwise(first))
    assert kubernetes.RETRIES.backoff_factor > 0 and kubernetes.RETRIES.backoff_jitter > 0
    assert {*kubernetes.RETRIES.status_forcelist} >= {*retries.status_forcelist}


def test_requests_to_aws_are_retried_in_the_standard_mode_of_botocore() -> None:
    """The `standard` mode of botocore is the backoff, with jitter, that the AWS SDKs' guide describes."""
    assert aws_api.RETRIES["mode"] == "standard" and aws_api.RETRIES["max_attempts"] > 3
    clients = aws.Clients({}, from_settings(settings(), "showdown"))
    assert clients._config.retries["mode"] == "standard"
