"""Three replicas: no accepted write is lost, few are refused while pods restart and die, and all agree about a pair."""

import json
import time
from collections.abc import Iterator
from functools import partial

import pytest

from tests.e2e.test_tenants import ready, tenants
from tests.support.load import Load
from tests.support.polling import eventually
from tests.support.user_session import INSTANCE, UserSession, url

TENANT = "triple"
CONNECTIONS = 8  # of the writers: a pod that ends may close each of them during a push
# A killed pod loses each writer's request in flight, and requests that come before its end is noticed.
IN_FLIGHT = 16
ENOUGH = 250  # samples and lines between two changes
GOSSIP_SECONDS = 5  # until all pods know which server of a pair the first pod elected
PUSHES = 20
BACK_SECONDS = 300  # until a query finds the blocks of another pod
pytestmark = pytest.mark.nightly


@pytest.fixture(scope="module")
def token(walk: UserSession, trusted_pair: str) -> Iterator[str]:
    token = walk.opstrace("ta-create-token", INSTANCE, TENANT, trusted_pair).stdout
    tenants(walk, "add", TENANT, "size={replicas: 3}", "onDelete=purge")
    ready(walk, token, TENANT)
    yield token
    tenants(walk, "remove", TENANT, "--yes")


def _ready(walk: UserSession, program: str) -> bool:
    stateful_set = json.loads(walk.kubectl("-n", f"{TENANT}-tenant", "get", "statefulset", program, "-o", "json"))
    return bool(stateful_set["status"].get("readyReplicas") == 3)


def _uid(walk: UserSession, pod: str) -> str:
    manifest = walk.kubectl("-n", f"{TENANT}-tenant", "get", "pod", pod, "--ignore-not-found", "-o", "json")
    return str(json.loads(manifest)["metadata"]["uid"]) if manifest else ""


def _is_replaced(walk: UserSession, pod: str, uid: str) -> bool:
    """Return whether there is a pod of this name with another UID."""
    return _uid(walk, pod) not in ("", uid)


def _replace(walk: UserSession, number: str, *how: str) -> None:
    for program in ("cortex", "loki"):
        pod = f"{program}-{number}"
        old = _uid(walk, pod)
        walk.kubectl("-n", f"{TENANT}-tenant", "delete", "pod", pod, *how)
        eventually(partial(_is_replaced, walk, pod, old), 60)
        eventually(partial(_ready, walk, program), 180)


def test_no_accepted_write_is_lost_while_a_pod_of_each_restarts_and_another_is_killed(
    walk: UserSession, token: str
) -> None:
    with Load(walk, TENANT, token, "replaced") as load:
        load.await_accepted(ENOUGH)
        _replace(walk, "1")
        restarted = load.refused.total()
        _replace(walk, "2", "--grace-period=0", "--force")
        load.await_accepted(ENOUGH)
    load.assert_nothing_lost(BACK_SECONDS)
    assert restarted <= CONNECTIONS
    assert load.refused.total() <= IN_FLIGHT


def test_no_accepted_write_is_lost_while_replicas_change_to_one_and_back(walk: UserSession, token: str) -> None:
    with Load(walk, TENANT, token, "resized") as load:
        for replicas in (1, 3):
            load.await_accepted(ENOUGH)
            tenants(walk, "set", TENANT, f"size={{replicas: {replicas}}}")
        load.await_accepted(ENOUGH)
    load.assert_nothing_lost(BACK_SECONDS)


def test_all_pods_store_the_same_server_of_a_pair(walk: UserSession, token: str) -> None:
    def push(server: str, value: float) -> None:
        labels = {"__name__": "paired", "cluster": "east", "__replica__": server}
        assert walk.push_sample(TENANT, labels, value, token)[0] == 200

    push("a", 1)
    time.sleep(GOSSIP_SECONDS)
    for _ in range(PUSHES):  # each over a new connection, so to any pod
        push("b", 2)
        push("a", 1)

    def stored() -> list[tuple[dict[str, str], set[str]]]:
        status, body = walk.curl(url("cortex", TENANT, "/api/v1/query?query=paired%5B10m%5D"), token=token)
        series_list = json.loads(body)["data"]["result"] if status == 200 else []
        return [(series["metric"], {value for _, value in series["values"]}) for series in series_list]

    eventually(lambda: stored() == [({"__name__": "paired", "cluster": "east"}, {"1"})], 60)
