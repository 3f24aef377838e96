"""The cluster watches itself through bad luck: ten minutes without the system tenant, and a node that restarts.

The lines are those of the gateway's access log, each with a number of its own; the samples are those of the containers.
"""

import json
import re
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from components.collectors.scrape import SECONDS
from components.collectors.settings import NODE
from components.core.names import COLLECTORS_NAMESPACE, GATEWAY_NAMESPACE, SYSTEM, namespace
from tests.e2e.test_losses import stop_node
from tests.support.polling import eventually
from tests.support.user_session import GATEWAY_MARKS, UserSession, url

pytestmark = pytest.mark.nightly

DOWN_SECONDS = 600
BACK_SECONDS = 600  # until what was queued has arrived
PAUSE = 0.2  # between two lines
LINES_ASKED = 5000
ENOUGH = 50  # lines before the node stops, and after it


class Numbered:
    """Requests that the gateway logs, each with a number, while the context is entered; `logged` has those it answered."""

    def __init__(self, walk: UserSession) -> None:
        self._walk, self._token = walk, walk.token("default")
        self.mark, self.logged = f"m{uuid.uuid4().hex}", set[int]()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        number = 0
        while not self._ended.wait(PAUSE):
            number += 1
            path = f"/api/v1/label/{self.mark}_{number}_/values"
            if self._walk.curl(url("cortex", "default", path), token=self._token)[0] == 200:
                self.logged.add(number)

    def __enter__(self) -> "Numbered":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def missing(self, written: set[int] | None = None) -> set[int]:
        """Return the numbers that Loki does not return, of those answered or of others that were `written`."""
        return (self.logged if written is None else written) - {*self._found()}

    def in_log_files(self) -> set[int]:
        """Return the numbers in the log files of the gateway's containers, the ones before a restart included."""
        place = ("-n", GATEWAY_NAMESPACE)
        pods = self._walk.kubectl(*place, "get", "pods", "-l", GATEWAY_MARKS, "-o", "name").split()
        logs = [
            self._walk.in_project("kubectl", *place, "logs", pod, "--container=envoy", *which, check=False).stdout
            for pod in pods
            for which in ((), ("--previous",))
        ]
        return {int(number) for log in logs for number in re.findall(rf"{self.mark}_(\d+)_", log)}

    def _found(self) -> Iterator[int]:
        """Read in parts of 1,000 numbers: Loki returns 5,000 lines at most, and lines may be there twice."""
        for thousands in range(max(self.logged) // 1000 + 1):
            part = f"{thousands}[0-9]{{3}}" if thousands else "[0-9]{1,3}"
            query = f'{{k8s_namespace_name="opstrace", k8s_container_name="envoy"}} |~ "{self.mark}_{part}_"'
            for line in _lines(self._walk, query):
                yield int(line.partition(f"{self.mark}_")[2].partition("_")[0])


def _result(walk: UserSession, api: str, path: str, **query: str) -> list[dict[str, Any]]:
    status, text = walk.curl(f"{url(api, SYSTEM, path)}?{urlencode(query)}", token=walk.token(SYSTEM))
    return list(json.loads(text)["data"]["result"]) if status == 200 else []


def _lines(walk: UserSession, query: str) -> list[str]:
    start = str(time.time_ns() - 2 * 3600 * 10**9)
    path = "/loki/api/v1/query_range"
    streams = _result(walk, "loki", path, query=query, limit=str(LINES_ASKED), start=start)
    return [line for stream in streams for _, line in stream["values"]]


def _scrapes(walk: UserSession, seconds: float) -> int:
    """Return how many scrapes of the containers are stored of the last `seconds`."""
    query = f'count_over_time(up{{job="cadvisor"}}[{int(seconds)}s])'
    found = _result(walk, "cortex", "/api/v1/query", query=query)
    return sum(int(entry["value"][1]) for entry in found)


def _scale(walk: UserSession, replicas: int) -> None:
    walk.kubectl("-n", namespace(SYSTEM), "scale", "statefulset", "--all", f"--replicas={replicas}")


def _is_collecting(walk: UserSession) -> bool:
    pods = walk.kubectl("-n", COLLECTORS_NAMESPACE, "rollout", "status", f"daemonset/{NODE}", "--timeout=200s")
    return "successfully rolled out" in pods and bool(_lines(walk, '{k8s_container_name="envoy"}'))


def test_nothing_is_lost_in_ten_minutes_without_the_system_tenant(walk: UserSession) -> None:
    eventually(lambda: _is_collecting(walk), BACK_SECONDS)
    began = time.time()
    with Numbered(walk) as numbered:
        _scale(walk, 0)
        time.sleep(DOWN_SECONDS)
        _scale(walk, 1)
    eventually(lambda: not numbered.missing(), BACK_SECONDS, 5, lambda: len(numbered.missing()))
    assert len(numbered.logged) > DOWN_SECONDS  # more than one a second

    def scrapes_are_there() -> bool:
        passed = time.time() - began
        return _scrapes(walk, passed) >= int(passed / SECONDS) - 2  # the first and the newest may be outside

    eventually(scrapes_are_there, 120, 5, lambda: (_scrapes(walk, time.time() - began), time.time() - began))


def test_no_line_is_lost_when_the_node_stops(walk: UserSession) -> None:
    eventually(lambda: _is_collecting(walk), BACK_SECONDS)
    with Numbered(walk) as numbered:
        eventually(lambda: len(numbered.logged) > ENOUGH)
        stop_node()
        before = max(numbered.logged)
        eventually(lambda: len([number for number in numbered.logged if number > before]) > ENOUGH, BACK_SECONDS)
    # The gateway itself loses the lines of its last second: they are in no file.
    eventually(lambda: max(numbered.logged) in numbered.in_log_files())
    written = numbered.in_log_files()
    assert len([number for number in written if number <= before]) > ENOUGH / 2
    eventually(lambda: not numbered.missing(written), BACK_SECONDS, 5, lambda: len(numbered.missing(written)))
