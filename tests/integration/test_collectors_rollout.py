"""Changed settings reach one node after the other, by the real controller of DaemonSets.

The nodes are objects without a kubelet. Each pod is ready a moment after it was made.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from components.core.names import COLLECTORS_NAMESPACE
from components.core.resource_names import DAEMON_SET_TYPE, NAMESPACE_TYPE, SERVICE_ACCOUNT_TYPE
from tests.support.factories import settings
from tests.support.polling import eventually
from tests.support.pulumi_mocks import declared
from tests.support.shell import run
from tests.support.stack import Stack

pytestmark = pytest.mark.nightly

NODES = [f"watched-{number}" for number in range(3)]
KINDS = (NAMESPACE_TYPE, SERVICE_ACCOUNT_TYPE, DAEMON_SET_TYPE)
PODS = f"/api/v1/namespaces/{COLLECTORS_NAMESPACE}/pods"


def declare(stack: Stack, **collectors: Any) -> None:
    """Apply what the program declares of the nodes' collectors with these settings."""
    entries = [entry for entry in declared(settings(collectors=collectors)) if entry.name.startswith("collectors-")]
    items = [entry.inputs for entry in entries if entry.typ in KINDS]
    apply(stack, items)


def apply(stack: Stack, items: list[Any]) -> None:
    whole = {"apiVersion": "v1", "kind": "List", "items": items}
    run("kubectl", "apply", "-f", "-", env=stack.environment, typed=json.dumps(whole))


def ready_pods(stack: Stack) -> set[str]:
    """Return the names of the collectors that are ready."""
    return {
        pod["metadata"]["name"]
        for pod in stack.cloud.kubernetes.list(PODS)
        if any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))
    }


@pytest.fixture
def nodes(bare_stack: Stack) -> Iterator[Stack]:
    """The cluster with some nodes, without the collectors' namespace."""
    apply(bare_stack, [{"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}} for name in NODES])
    yield bare_stack
    run("kubectl", "delete", "node", *NODES, env=bare_stack.environment)
    run("kubectl", "delete", "namespace", COLLECTORS_NAMESPACE, env=bare_stack.environment)


def test_a_change_of_the_settings_replaces_the_collector_of_one_node_after_the_other(nodes: Stack) -> None:
    declare(nodes)
    eventually(lambda: len(ready_pods(nodes)) == len(NODES), detail=lambda: ready_pods(nodes))
    before, seen = ready_pods(nodes), set[int]()

    def all_are_new() -> bool:
        ready = ready_pods(nodes)
        seen.add(len(ready))
        return len(ready - before) == len(NODES)

    declare(nodes, namespaces={"exclude": ["shop"]})
    eventually(all_are_new, pause=0.02, detail=lambda: (before, ready_pods(nodes)))
    assert seen == {len(NODES), len(NODES) - 1}
