"""Three replicas: no write that was accepted is lost, and hardly one is refused, while pods restart and die."""

import json
from collections.abc import Iterator

import pytest

from tests.e2e.load import Load
from tests.e2e.test_tenants import ready, tenants
from tests.e2e.walk import INSTANCE, Walk
from tests.waiting import eventually

TENANT = "triple"
CONNECTIONS = 8  # of the writers: a pod that ends may close one just as a push comes over it
# A pod that is killed takes with it what it was at work on, for each writer, and what is sent to it until that is known.
IN_FLIGHT = 16
ENOUGH = 250  # samples and lines between two changes
BACK_SECONDS = 300  # until a query finds what another pod has shipped
pytestmark = pytest.mark.nightly


@pytest.fixture(scope="module")
def token(walk: Walk, trusted_pair: str) -> Iterator[str]:
    made = walk.opstrace("ta-create-token", INSTANCE, TENANT, trusted_pair).stdout
    tenants(walk, "add", TENANT, "size={replicas: 3}", "onDelete=purge")
    ready(walk, made, TENANT)
    yield made
    tenants(walk, "remove", TENANT, "--yes")


def _ready(walk: Walk, program: str) -> bool:
    found = json.loads(walk.kubectl("-n", f"{TENANT}-tenant", "get", "statefulset", program, "-o", "json"))
    return found["status"].get("readyReplicas") == 3


def _uid(walk: Walk, pod: str) -> str:
    found = walk.kubectl("-n", f"{TENANT}-tenant", "get", "pod", pod, "--ignore-not-found", "-o", "json")
    return str(json.loads(found)["metadata"]["uid"]) if found else ""


def _replace(walk: Walk, number: str, *how: str) -> None:
    for program in ("cortex", "loki"):
        pod = f"{program}-{number}"
        old = _uid(walk, pod)
        walk.kubectl("-n", f"{TENANT}-tenant", "delete", "pod", pod, *how)
        eventually(lambda pod=pod, old=old: _uid(walk, pod) not in ("", old), 60)
        eventually(lambda program=program: _ready(walk, program), 180)


def test_no_accepted_write_is_lost_while_a_pod_of_each_restarts_and_another_is_killed(walk: Walk, token: str) -> None:
    with Load(walk, TENANT, token, "replaced") as load:
        load.accepts(ENOUGH)
        _replace(walk, "1")
        restarted = load.refused.total()
        _replace(walk, "2", "--grace-period=0", "--force")
        load.accepts(ENOUGH)
    load.assert_nothing_lost(BACK_SECONDS)
    assert restarted <= CONNECTIONS
    assert load.refused.total() <= IN_FLIGHT


def test_no_accepted_write_is_lost_while_there_is_one_pod_and_then_three_again(walk: Walk, token: str) -> None:
    with Load(walk, TENANT, token, "resized") as load:
        for replicas in (1, 3):
            load.accepts(ENOUGH)
            tenants(walk, "set", TENANT, f"size={{replicas: {replicas}}}")
        load.accepts(ENOUGH)
    load.assert_nothing_lost(BACK_SECONDS)
