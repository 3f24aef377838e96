"""Changed settings reach one node after the other, by the real controller of DaemonSets.

The nodes are objects without a kubelet. Each pod is ready a moment after it was made.
"""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from components.core.names import COLLECTORS_NAMESPACE
from components.core.resource_names import DAEMON_SET_TYPE, NAMESPACE_TYPE, SERVICE_ACCOUNT_TYPE
from tests.support.factories import settings
from tests.support.manifests import apply
from tests.support.polling import eventually
from tests.support.pulumi_mocks import declared
from tests.support.shell import run
from tests.support.stack import Stack

pytestmark = pytest.mark.nightly

NODES = [f"watched-{number}" for number in range(3)]
KINDS = (NAMESPACE_TYPE, SERVICE_ACCOUNT_TYPE, DAEMON_SET_TYPE)


def declare(stack: Stack, **collectors: Any) -> None:
    """Apply what the program declares of the nodes' collectors with these settings."""
    entries = [entry for entry in declared(settings(collectors=collectors)) if entry.name.startswith("collectors-")]
    apply(stack.environment, *(entry.inputs for entry in entries if entry.typ in KINDS))


@contextmanager
def watched(stack: Stack, file: Path) -> Iterator[Callable[[], list[set[str]]]]:
    """Watch the collectors until the block ends; yields a function that returns which were ready, after each change of a pod.

    The API server sends all changes in their order, so no state between two of them is overlooked.
    """
    condition = '{.object.status.conditions[?(@.type=="Ready")].status}'
    form = f'jsonpath={{.type}} {{.object.metadata.name}} {condition}{{"\\n"}}'
    words = ("kubectl", "-n", COLLECTORS_NAMESPACE, "get", "pods", "--watch", "--output-watch-events", "-o", form)
    with file.open("w") as output:
        process = subprocess.Popen(words, stdout=output, env=stack.environment)

    def states() -> list[set[str]]:
        complete = file.read_text().rpartition("\n")[0]
        return list(accumulate(complete.splitlines(), _changed, initial=set[str]()))

    try:
        yield states
        assert process.poll() is None  # it saw all
    finally:
        process.kill()
        process.wait()


def _changed(ready: set[str], event: str) -> set[str]:
    """Return which collectors are ready after an event: its type, the pod's name and whether that is ready."""
    kind, name, *status = event.split()
    return ready | {name} if kind != "DELETED" and status == ["True"] else ready - {name}


@pytest.fixture
def nodes(bare_stack: Stack) -> Iterator[Stack]:
    """The cluster with some nodes, without the collectors' namespace."""
    objects = ({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}} for name in NODES)
    apply(bare_stack.environment, *objects)
    yield bare_stack
    run("kubectl", "delete", "node", *NODES, env=bare_stack.environment)
    run("kubectl", "delete", "namespace", COLLECTORS_NAMESPACE, env=bare_stack.environment)


def test_a_change_of_the_settings_replaces_the_collector_of_one_node_after_the_other(
    nodes: Stack, tmp_path: Path
) -> None:
    declare(nodes)
    with watched(nodes, tmp_path / "events") as states:
        eventually(lambda: len(states()[-1]) == len(NODES), detail=states)
        before, passed = states()[-1], len(states())
        declare(nodes, namespaces={"exclude": ["shop"]})
        eventually(lambda: len(states()[-1] - before) == len(NODES), detail=states)
        assert {len(ready) for ready in states()[passed:]} == {len(NODES), len(NODES) - 1}
