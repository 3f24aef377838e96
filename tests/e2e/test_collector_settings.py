"""Settings of the collectors change on a live instance, while the gateway logs numbered lines: none is lost."""

import json
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from components.collectors.scrape import SLOW_SECONDS
from components.collectors.settings import CLUSTER, NODE
from components.core.names import COLLECTORS_NAMESPACE, SYSTEM, namespace
from tests.support.polling import eventually, repeated
from tests.support.queries import LINES, METRICS, asked, lines_of
from tests.support.user_session import UserSession, url

pytestmark = pytest.mark.nightly

ROLL_SECONDS = 240  # until changed collectors run, on a busy machine
ARRIVE_SECONDS = 180
PAUSE = 0.2  # between two lines
ENOUGH = 50  # lines that no collector reads
LINES_ASKED = 5000
EXCLUDED = namespace("default")
CPU = "60m"
# The collectors may reach the system tenant alone of all tenants.
TARGET = f"cortex.{namespace(SYSTEM)}.svc.cluster.local:80"
SCRAPE = {
    "namespaces.exclude[0]": EXCLUDED,
    "extraScrape[0].job": "extra",
    "extraScrape[0].targets[0]": TARGET,
    "resources.cpu": CPU,
}


@contextmanager
def numbered_lines(walk: UserSession, mark: str) -> Iterator[list[int]]:
    """Let the gateway log lines with this mark and a number until the block ends; yields the list of their numbers."""
    numbers, token = list[int](), walk.token("default")

    def send() -> None:
        address = url("cortex", "default", f"/api/v1/label/{mark}_{len(numbers)}_/values")
        if walk.curl(address, token=token)[0] == 200:
            numbers.append(len(numbers))

    with repeated(send, PAUSE):
        yield numbers


def found(walk: UserSession, mark: str) -> set[int]:
    """Return the numbers of the lines that the system tenant has."""
    query = f'{{k8s_namespace_name="opstrace", k8s_container_name="envoy"}} |= "{mark}"'
    lines = lines_of(asked(walk, LINES, query=query, limit=LINES_ASKED, start=time.time_ns() - 3600 * 10**9))
    assert len(lines) < LINES_ASKED
    return {int(number) for line in lines for number in re.findall(rf"{mark}_(\d+)_", line)}


def change(walk: UserSession, settings: dict[str, str]) -> None:
    """Change settings of the collectors with plain Pulumi, and wait until all collectors run with them."""
    for name, value in settings.items():
        walk.pulumi("config", "set", "--path", f"opstrace:collectors.{name}", value)
    walk.pulumi("up", "--yes", "--skip-preview")
    for workload in (f"daemonset/{NODE}", f"deployment/{CLUSTER}"):
        walk.kubectl("-n", COLLECTORS_NAMESPACE, "rollout", "status", workload, f"--timeout={ROLL_SECONDS}s")


def new_samples(walk: UserSession, selector: str) -> bool:
    """Tell whether series have samples of the last scrapes; the usual query also takes older ones."""
    return asked(walk, METRICS, query=f"count_over_time({selector}[{3 * SLOW_SECONDS}s])") != []


def test_no_line_is_lost_while_the_settings_of_the_collectors_change(walk: UserSession, file_as_before: None) -> None:
    mark, cpu = f"m{uuid.uuid4().hex}", "container_cpu_usage_seconds_total"
    with numbered_lines(walk, mark) as numbers:
        eventually(lambda: found(walk, mark) != set(), ROLL_SECONDS)
        eventually(lambda: new_samples(walk, f'{cpu}{{namespace="{EXCLUDED}"}}'), ROLL_SECONDS)
        change(walk, SCRAPE)
        pods = walk.kubectl("-n", COLLECTORS_NAMESPACE, "get", "pods", "-o", "json")
        containers = [container for pod in json.loads(pods)["items"] for container in pod["spec"]["containers"]]
        assert [container["resources"]["requests"]["cpu"] for container in containers] == [CPU, CPU]
        eventually(lambda: asked(walk, METRICS, query='up{job="extra"} == 1') != [], ARRIVE_SECONDS)
        eventually(lambda: not new_samples(walk, f'{cpu}{{namespace="{EXCLUDED}"}}'), ARRIVE_SECONDS)
        assert new_samples(walk, f'{cpu}{{namespace="opstrace"}}')
        change(walk, {"logs": "false"})
        first = len(numbers)
        eventually(lambda: len(numbers) > first + ENOUGH, ARRIVE_SECONDS)
        assert {number for number in found(walk, mark) if number > first} == set()
        change(walk, {"logs": "true"})
    eventually(lambda: {*numbers} <= found(walk, mark), ARRIVE_SECONDS, detail=lambda: {*numbers} - found(walk, mark))
