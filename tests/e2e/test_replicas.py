"""Three replicas: no write that was accepted is lost, and none is refused for long, while pods restart and die."""

import json
import threading
import time
from collections.abc import Iterator

import pytest

from tests.e2e.test_tenants import tenants
from tests.e2e.walk import INSTANCE, LABELS, Walk, eventually, url

TENANT = "triple"
IN_FLIGHT = 4  # a pod that is killed takes with it what it was at work on, and what is sent to it until that is known
pytestmark = pytest.mark.nightly


@pytest.fixture(scope="module")
def token(walk: Walk, trusted_pair: str) -> Iterator[str]:
    made = walk.opstrace("ta-create-token", INSTANCE, TENANT, trusted_pair).stdout
    (walk.folder / "triple.jwt").write_text(made)
    tenants(walk, "add", TENANT, "size={replicas: 3}", "onDelete=purge")
    for api, path in (("cortex", LABELS), ("loki", "/loki/api/v1/labels")):
        eventually(lambda api=api, path=path: walk.curl(url(api, TENANT, path), token=made)[0] == 200, 90)
    yield made
    tenants(walk, "remove", TENANT, "--yes")


class Writer:
    """Pushes one sample and one line after the other, and remembers those that were accepted."""

    def __init__(self, walk: Walk, token: str) -> None:
        self._walk, self._token, self._stop = walk, token, threading.Event()
        self.samples: list[int] = []
        self.lines: list[str] = []
        self.refused = 0
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        number = 0
        while not self._stop.wait(0.2):
            number += 1
            labels = {"__name__": "triple", "n": str(number)}
            pushed = self._walk.push_sample(TENANT, labels, float(number), self._token)[0]
            logged = self._walk.push_line(TENANT, f"line {number}.", self._token, "triple")[0]
            self.samples += [number] if pushed == 200 else []
            self.lines += [f"line {number}."] if logged == 204 else []
            self.refused += (pushed != 200) + (logged != 204)

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()


def _ready(walk: Walk, program: str) -> bool:
    found = json.loads(walk.kubectl("-n", f"{TENANT}-tenant", "get", "statefulset", program, "-o", "json"))
    return found["status"].get("readyReplicas") == 3


def _replace(walk: Walk, pod: str, *how: str) -> None:
    for program in ("cortex", "loki"):
        walk.kubectl("-n", f"{TENANT}-tenant", "delete", "pod", f"{program}-{pod}", *how)
        eventually(lambda program=program: _ready(walk, program), 180)


def test_no_accepted_write_is_lost_while_a_pod_of_each_restarts_and_another_is_killed(walk: Walk, token: str) -> None:
    with Writer(walk, token) as writer:
        time.sleep(5)
        _replace(walk, "1")
        restarted = writer.refused
        _replace(walk, "2", "--grace-period=0", "--force")
        time.sleep(5)
    assert len(writer.samples) > 50 and len(writer.lines) > 50
    print(f"accepted: {len(writer.samples)} samples and {len(writer.lines)} lines; refused: {writer.refused}")
    assert restarted == 0
    assert writer.refused <= IN_FLIGHT

    def samples() -> set[int]:
        query = url("cortex", TENANT, "/api/v1/query?query=last_over_time(triple%5B1h%5D)")
        status, body = walk.curl(query, token=token)
        found = json.loads(body)["data"]["result"] if status == 200 else []
        return {int(entry["metric"]["n"]) for entry in found}

    def lines() -> set[str]:
        query = url("loki", TENANT, "/loki/api/v1/query_range?query=%7Bjob%3D%22triple%22%7D&limit=5000")
        status, body = walk.curl(query, token=token)
        found = json.loads(body)["data"]["result"] if status == 200 else []
        return {value[1] for stream in found for value in stream["values"]}

    eventually(lambda: {*writer.samples} <= samples(), 60)
    eventually(lambda: {*writer.lines} <= lines(), 60)
