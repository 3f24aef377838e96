"""Settings of the collectors change on a live instance, while the gateway logs numbered lines: none is lost.

Namespaces are excluded, targets are added, and each kind of data is switched off.
"""

import json
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from components.collectors.scrape import SLOW_SECONDS
from components.collectors.settings import CLUSTER, LOGS_VOLUME, NODE
from components.core.names import COLLECTORS_NAMESPACE, GATEWAY_NAMESPACE, SYSTEM, namespace
from components.core.tags import NAME_LABEL
from tests.support.manifests import apply, new_namespace, pod
from tests.support.polling import eventually, repeated
from tests.support.queries import LINES, METRICS, asked, lines_of
from tests.support.scraped_pods import PATH, PORT, SCRAPED, usual
from tests.support.user_session import INSTANCE, UserSession, url

pytestmark = pytest.mark.nightly

ROLL_SECONDS = 240  # until changed collectors run, on a busy machine
ARRIVE_SECONDS = 180
RECENT_SECONDS = 3 * SLOW_SECONDS  # some scrapes
PAUSE = 0.5  # between two lines
ENOUGH = 50  # lines that no collector reads
LINES_ASKED = 5000
CPU = "60m"
# The collectors may reach the system tenant alone of all tenants.
TARGET = f"cortex.{namespace(SYSTEM)}.svc.cluster.local:80"
SCRAPE = {"extraScrape[0].job": "extra", "extraScrape[0].targets[0]": TARGET, "resources.cpu": CPU}
LOG = "%REQ(:PATH)%"


@pytest.fixture
def shop(walk: UserSession) -> Iterator[str]:
    """A namespace with a pod that is scraped, and that writes a line each second."""
    place = f"shop-{uuid.uuid4().hex[:8]}"
    probe = {"httpGet": {"path": PATH, "port": PORT}, "periodSeconds": 1}
    shop = pod(place, "shop", usual("shop", log=LOG, readinessProbe=probe), annotations=SCRAPED)
    apply(walk.shell, new_namespace(place), shop)
    yield place
    walk.kubectl("delete", "namespace", place, "--wait=false")


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


def change(walk: UserSession, settings: dict[str, str], unset: str = "") -> None:
    """Change settings of the collectors with plain Pulumi, remove one, and wait until all collectors run with them."""
    for name, value in settings.items():
        walk.pulumi("config", "set", "--path", f"opstrace:collectors.{name}", value)
    if unset:
        walk.pulumi("config", "rm", "--path", f"opstrace:collectors.{unset}")
    walk.pulumi("up", "--yes", "--skip-preview")
    place = ("-n", COLLECTORS_NAMESPACE)
    for workload in walk.kubectl(*place, "get", "daemonsets,deployments", "-o", "name").split():
        walk.kubectl(*place, "rollout", "status", workload, f"--timeout={ROLL_SECONDS}s")


def pods(walk: UserSession) -> dict[str, dict[str, Any]]:
    """Return the spec of each collector's pod that stays, by the program's name."""
    found = json.loads(walk.kubectl("-n", COLLECTORS_NAMESPACE, "get", "pods", "-o", "json"))["items"]
    stay = [each for each in found if "deletionTimestamp" not in each["metadata"]]
    return {each["metadata"]["labels"][NAME_LABEL]: each["spec"] for each in stay}


def recent_jobs(walk: UserSession, place: str = ".*") -> set[str]:
    """Return the jobs with samples of a namespace from the last scrapes; the usual query also takes older ones."""
    query = f'group by (job) (last_over_time({{job!="",namespace=~"{place}"}}[{RECENT_SECONDS}s]))'
    return {entry["metric"]["job"] for entry in asked(walk, METRICS, query=query)}


def recent_lines(walk: UserSession, place: str) -> bool:
    start = time.time_ns() - RECENT_SECONDS * 10**9
    return asked(walk, LINES, query=f'{{k8s_namespace_name="{place}"}}', limit=1, start=start) != []


def collected(walk: UserSession) -> str:
    """Return what `status` says of the newest data."""
    printed = walk.opstrace("status", "local", INSTANCE).stdout
    (line,) = (line for line in printed.splitlines() if line.startswith("collected: "))
    return line.partition(":")[2].strip()


def test_no_line_is_lost_while_the_settings_of_the_collectors_change(
    walk: UserSession, file_as_before: None, shop: str
) -> None:
    mark = f"m{uuid.uuid4().hex}"
    with numbered_lines(walk, mark) as numbers:
        eventually(lambda: found(walk, mark) != set() and recent_lines(walk, shop), ROLL_SECONDS)
        eventually(
            lambda: recent_jobs(walk, shop) == {"cadvisor", "kubernetes", "pods"},
            ROLL_SECONDS,
            detail=lambda: recent_jobs(walk, shop),
        )
        change(walk, SCRAPE | {"namespaces.exclude[0]": shop})
        containers = [container for spec in pods(walk).values() for container in spec["containers"]]
        assert [container["resources"]["requests"]["cpu"] for container in containers] == [CPU, CPU]
        eventually(lambda: asked(walk, METRICS, query='up{job="extra"} == 1') != [], ARRIVE_SECONDS)
        # Objects of Kubernetes are counted all the same.
        eventually(lambda: recent_jobs(walk, shop) == {"kubernetes"} and not recent_lines(walk, shop), ARRIVE_SECONDS)
        assert "cadvisor" in recent_jobs(walk, GATEWAY_NAMESPACE)
        first = logs_are_off(walk, numbers)
        assert {number for number in found(walk, mark) if number > first} == set()
        metrics_are_off(walk)
    eventually(lambda: {*numbers} <= found(walk, mark), ARRIVE_SECONDS, detail=lambda: {*numbers} - found(walk, mark))


def logs_are_off(walk: UserSession, numbers: list[int]) -> int:
    """Switch logs off until many lines are written; return the number of the first one that no collector reads."""
    change(walk, {"logs": "false"})
    first = len(numbers)
    assert {*pods(walk)} == {NODE, CLUSTER}
    assert LOGS_VOLUME not in {volume["name"] for volume in pods(walk)[NODE]["volumes"]}
    eventually(lambda: len(numbers) > first + ENOUGH, ARRIVE_SECONDS)
    eventually(lambda: re.fullmatch(r"newest sample \d+s old, logs not collected", collected(walk)) is not None)
    return first


def metrics_are_off(walk: UserSession) -> None:
    """Switch logs on and metrics off, until no collector's samples arrive any more. Those of the gateway do."""
    change(walk, {"logs": "true", "metrics": "false"}, unset="extraScrape")
    eventually(lambda: {*pods(walk)} == {NODE}, ROLL_SECONDS, detail=lambda: [*pods(walk)])
    assert walk.kubectl("-n", COLLECTORS_NAMESPACE, "get", "deployments", "-o", "name") == ""
    eventually(lambda: recent_jobs(walk) == {"gateway"}, ARRIVE_SECONDS, detail=lambda: recent_jobs(walk))
    eventually(lambda: re.fullmatch(r"metrics not collected, newest line \d+s old", collected(walk)) is not None)
