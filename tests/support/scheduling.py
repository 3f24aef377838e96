"""Which process of `make test` runs which test, and when a process ends a cloud that its next test does not need."""

from collections.abc import Iterator
from typing import Any

import pytest
from xdist import is_xdist_worker
from xdist.scheduler import LoadScopeScheduling


def _integration(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/integration/test_{name}.py" for name in names)


# Groups of tests; a group runs in one process, as does each other module. Most tests with a bare cloud
# (tests/support/bare_cloud.py) are in two groups. "cost" measures the gateway, which no other measurement may disturb.
SHARING = {
    "cost": ("tests/security/cost/",),
    "bare, first half": _integration(
        *("adoption", "cluster_reads", "collectors_admission", "crash_points", "faults", "node_groups"),
        *("object_drift", "plain_recovery"),
    ),
    "bare, second half": _integration(
        *("deployer_policy", "kms_keys", "move", "pod_reasons", "renamed_stacks", "storage_class", "up")
    ),
}
# Modules that use an instance of an embedded cloud. Each of the first processes has one, and takes the next module.
EMBEDDED = ("tests/e2e/", "tests/security/test_hostile.py", *_integration("plugins"))
INSTANCES = 2
# The first needs a cluster without an instance. The others take minutes, so that both processes end at the same time.
FIRST = tuple(f"tests/e2e/test_{name}.py" for name in ("a_context", "tenants", "page_walk", "tokens", "tenant_alone"))
CLOUDS = ("cloud", "bare_stack")  # fixtures


def group_of(nodeid: str) -> str:
    """Return the group of a test, which is its module where that is in no group."""
    groups = (name for name, sharing in SHARING.items() if nodeid.startswith(sharing))
    return next(groups, nodeid.split("::", 1)[0])


def cloud_of(nodeid: str) -> str:
    """Return what tests share that use the same cloud: the group of a test, or that it has an instance."""
    return "embedded" if nodeid.startswith(EMBEDDED) else group_of(nodeid)


class CloudScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Runs the tests of a group one after the other in one process; the first processes take those with an instance."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)

    def _assign_work_unit(self, node: Any) -> None:
        """Give a process the next group that it may run, or end it: later there is none either."""
        with_instance = [group for group in self.workqueue if group.startswith(EMBEDDED)]
        others = [group for group in self.workqueue if not group.startswith(EMBEDDED)]
        allowed = [*with_instance, *others] if node in self.nodes[:INSTANCES] else others
        if not allowed:
            node.shutdown()
            return
        self.workqueue.move_to_end(allowed[0], last=False)
        super()._assign_work_unit(node)


def make_scheduler(config: pytest.Config, log: Any) -> CloudScheduling:
    """Return the scheduler of `make test`, which runs four processes, since tests mostly wait."""
    return CloudScheduling(config, log)


def begin_with_the_longest(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Let some modules begin first, where several processes run."""

    def place(item: pytest.Item) -> int:
        module = item.nodeid.split("::", 1)[0]
        return FIRST.index(module) if module in FIRST else len(FIRST)

    if is_xdist_worker(session):
        items.sort(key=place)


@pytest.hookimpl(wrapper=True)
def end_clouds(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """End a process's cloud after the last test that needs it: an idle cloud slows the other processes down."""
    try:
        yield
    finally:
        if nextitem and is_xdist_worker(item.session) and cloud_of(nextitem.nodeid) != cloud_of(item.nodeid):
            for name in CLOUDS:
                for fixture in item.session._fixturemanager.getfixturedefs(name, item) or ():
                    fixture.finish(item._request)  # type: ignore[attr-defined]  # of functions, which all tests are
