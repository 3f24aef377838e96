"""What a change of settings takes away is refused, or said, before anything is changed."""

from typing import Any

import pytest

from components.errors import UserError
from components.tenant_config import TenantSettings, exported
from scripts.applied import Applied, Pods
from scripts.consequences import require_possible
from scripts.readiness import require_ready, state_of
from scripts.summary import plan

SMALL = TenantSettings()
LARGER = TenantSettings.model_validate({"size": {"logs": {"volume": "20Gi"}}})


class Cluster:
    """One whose StatefulSets are as they are given."""

    def __init__(self, **programs: dict[str, Any]) -> None:
        self._programs = programs

    def get(self, version: str, kind: str, name: str, namespace: str) -> dict[str, Any] | None:
        assert (kind, namespace) == ("StatefulSet", "ops-tenant")
        return self._programs.get(name)


def program(ready: int, *, wanted: int = 1, **metadata: str) -> dict[str, Any]:
    return {"metadata": metadata, "spec": {"replicas": wanted}, "status": {"readyReplicas": ready}}


def applied(settings: TenantSettings, *, protect: bool = False, without: str = "") -> Applied:
    """Return a tenant that was applied with these settings, of which one program may be gone."""
    size = settings.pods()
    pods = {"cortex": Pods(size.replicas, size.metrics.volume), "loki": Pods(size.replicas, size.logs.volume)}
    if settings.alertmanager.enabled:
        pods["alertmanager"] = Pods(1, "1Gi")
    pods.pop(without, None)
    return Applied("urn", protect, exported(settings), pods=pods, has_workloads=True)


def check(cluster: Any, there: Applied, after: TenantSettings, *, force: bool = False) -> None:
    require_possible("ops", there, after, cluster, force=force)


def test_volumes_are_not_made_anew_while_what_is_on_them_may_be_nowhere_else() -> None:
    stuck, there = Cluster(cortex=program(1), loki=program(0)), applied(SMALL)
    with pytest.raises(UserError, match=r"ops is not ready \(loki 0 of 1 ready\).*--force"):
        check(stuck, there, LARGER)
    check(stuck, there, LARGER, force=True)
    check(stuck, there, TenantSettings.model_validate({"size": {"metrics": {"volume": "20Gi"}}}))  # of Cortex alone
    check(stuck, there, TenantSettings.model_validate({"owner": "a"}))


def test_what_an_interrupted_update_took_away_does_not_keep_it_from_going_on() -> None:
    going = program(0, deletionTimestamp="2026-01-01T00:00:00Z")
    check(Cluster(cortex=program(1), loki=going), applied(SMALL), LARGER)
    check(Cluster(cortex=program(1)), applied(SMALL), LARGER)
    # The one with the new volume is there, by the name of the old one, and is not ready yet.
    for there in (applied(SMALL, without="loki"), applied(LARGER)):
        check(Cluster(cortex=program(1), loki=program(0)), there, LARGER)


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        (SMALL, LARGER, "size.logs.volume"),
        (TenantSettings.model_validate({"size": {"replicas": 3}}), SMALL, "size.replicas"),
        (TenantSettings.model_validate({"alertmanager": {"enabled": True}}), SMALL, "alertmanager.enabled"),
    ],
)
def test_of_a_protected_tenant_nothing_is_taken_away(before: TenantSettings, after: TenantSettings, named: str) -> None:
    ready = Cluster(cortex=program(1), loki=program(1))
    with pytest.raises(UserError, match=f"ops is protected: to change {named} .*protect=false first"):
        check(ready, applied(before, protect=True), after, force=True)
    check(ready, applied(before), after)


def test_a_program_that_is_missing_is_told_but_has_no_volume_that_could_be_lost() -> None:
    cluster: Any = Cluster(cortex=program(2, wanted=3))
    assert state_of(cluster, "ops", ("cortex", "loki")) == "cortex 2 of 3 ready, loki is missing"
    require_ready(cluster, "ops", ("loki",), "")
    with pytest.raises(UserError, match=r"not ready \(cortex 2 of 3 ready\).* or so$"):
        require_ready(cluster, "ops", ("cortex", "loki"), "so")


def test_a_shorter_retention_is_said_before_it_deletes() -> None:
    there = {"ops": Applied("urn", False, exported(SMALL)), "old": Applied("urn", False, {"unknown": 1})}
    shorter = TenantSettings.model_validate({"retention": {"metrics": "36h", "logs": "30d"}})
    found = plan({"ops": shorter, "old": shorter}, there, None)  # type: ignore[arg-type]
    assert f"{found}".splitlines() == [
        "2 tenants to change (old, ops)",
        "  ops: its metrics will be kept for 36h instead of 7d: what is older will be deleted for good",
    ]
