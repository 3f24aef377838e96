"""A change of settings that deletes something is refused or announced before anything changes."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components.config.load import from_settings
from components.config.tenant import TenantSettings, exported
from components.core.errors import UserError
from components.core.units import hours
from scripts.tenants.plan import plan
from scripts.tenants.readiness import require_ready, state_of
from scripts.tenants.recorded_state import Applied, Pods
from scripts.tenants.safety import Allowed, check_update_is_safe
from tests.support.factories import CLUSTER, settings

SMALL = TenantSettings()
SHORTER = TenantSettings.model_validate({"retention": {"metrics": "36h", "logs": "30d"}})
LARGER = TenantSettings.model_validate({"size": {"logs": {"volume": "20Gi"}}})


class Cluster:
    """A cluster with these StatefulSets."""

    def __init__(self, tenant: str = "ops-tenant", **programs: dict[str, Any]) -> None:
        self._namespace, self._programs = tenant, programs

    def get(self, version: str, kind: str, name: str, namespace: str) -> dict[str, Any] | None:
        assert (kind, namespace) == ("StatefulSet", self._namespace)
        return self._programs.get(name)


def program(ready: int, *, desired: int = 1, **metadata: str) -> dict[str, Any]:
    return {"metadata": metadata, "spec": {"replicas": desired}, "status": {"readyReplicas": ready}}


def applied(settings: TenantSettings, *, protect: bool = False, without: str = "") -> Applied:
    """Return a tenant that was applied with these settings; one of its programs may be missing."""
    size, kept = settings.pods(), settings.retention
    pods = {"cortex": Pods(size.replicas, size.metrics.volume), "loki": Pods(size.replicas, size.logs.volume)}
    if settings.alertmanager.enabled:
        pods["alertmanager"] = Pods(1, "1Gi")
    pods.pop(without, None)
    in_force = {"cortex": hours(kept.metrics), "loki": hours(kept.logs)}
    return Applied("urn", protect, exported(settings), pods=pods, retention_hours=in_force, has_workloads=True)


def check(cluster: Any, deployed: Applied, after: TenantSettings, *, force: bool = False, name: str = "ops") -> None:
    """Check an update of the instance to these settings of a tenant, as every command does."""
    allowed = Allowed(replace=name if force else "another")
    check_update_is_safe(*instance(**{name: after}), {name: deployed}, cluster, allowed)


def instance(**tenants: TenantSettings) -> tuple[Any, Any]:
    """Return the file and the configuration of an instance with these tenants; those of `system` are the defaults."""
    system = exported(tenants.pop("system", SMALL))
    entries = [{"name": name, **exported(one)} for name, one in tenants.items()] or [{"name": "default"}]
    values = {"tenants": entries, "tenantDefaults": system, "cluster": CLUSTER | {"enforcesNetworkPolicies": True}}
    config = from_settings(settings(**values), "showdown")
    path = Path("nowhere") / "Pulumi.showdown.yaml"
    return SimpleNamespace(is_tenants=False, instance="showdown", path=path, config=lambda: config), config


def test_volumes_are_not_made_anew_while_what_is_on_them_may_be_nowhere_else() -> None:
    stuck, deployed = Cluster(cortex=program(1), loki=program(0)), applied(SMALL)
    with pytest.raises(UserError, match=r"ops is not ready \(loki 0 of 1 ready\).*--force"):
        check(stuck, deployed, LARGER)
    check(stuck, deployed, LARGER, force=True)
    check(stuck, deployed, TenantSettings.model_validate({"size": {"metrics": {"volume": "20Gi"}}}))  # of Cortex alone
    check(stuck, deployed, TenantSettings.model_validate({"owner": "a"}))


def test_what_an_interrupted_update_took_away_does_not_keep_it_from_going_on() -> None:
    going = program(0, deletionTimestamp="2026-01-01T00:00:00Z")
    check(Cluster(cortex=program(1), loki=going), applied(SMALL), LARGER)
    check(Cluster(cortex=program(1)), applied(SMALL), LARGER)
    # The StatefulSet with the new volume exists under the old one's name, and is not ready yet.
    for deployed in (applied(SMALL, without="loki"), applied(LARGER)):
        check(Cluster(cortex=program(1), loki=program(0)), deployed, LARGER)


ALERTING = TenantSettings.model_validate({"alertmanager": {"enabled": True}})
THREE = TenantSettings.model_validate({"size": {"replicas": 3}})


@pytest.mark.parametrize(
    ("before", "after", "named", "at_once"),
    [
        (SMALL, LARGER, "size.logs.volume", True),
        (THREE, SMALL, "size.replicas", False),
        (ALERTING, SMALL, "alertmanager.enabled", False),
    ],
)
def test_of_a_protected_tenant_nothing_is_taken_away(
    before: TenantSettings, after: TenantSettings, named: str, at_once: bool
) -> None:
    """The engine lets a replaced resource lose its protection in the same update (pulumi/pkg/resource/deploy, 3.255)."""
    ready = Cluster(cortex=program(3, desired=3), loki=program(3, desired=3))
    refusal = f"ops is protected: to change {named} .*apply protect=false, and change it afterwards"
    still = after.model_copy(update={"protect": True})
    with pytest.raises(UserError, match=refusal):
        check(ready, applied(before, protect=True), still, force=True)
    if at_once:
        check(ready, applied(before, protect=True), after)
    else:
        with pytest.raises(UserError, match=refusal):
            check(ready, applied(before, protect=True), after)
    check(ready, applied(before), after)


def test_the_instance_s_own_tenant_is_looked_at_like_any_other() -> None:
    stuck: Any = Cluster(tenant="system-tenant", cortex=program(0), loki=program(0))
    with pytest.raises(UserError, match=r"system is not ready \(loki 0 of 1 ready\)"):
        check(stuck, applied(SMALL), LARGER, name="system")
    planned = plan({"system": SHORTER}, {"system": applied(SMALL)}, None)  # type: ignore[arg-type]  # no tenant is deleted, so that AWS is not asked
    assert f"{planned}".splitlines() == [
        "No tenant to add, to change or to delete.",
        "  system: its metrics will be kept for 36h instead of 7d: older data will be deleted for good",
    ]


def test_a_tenant_with_a_stack_of_its_own_is_not_made_a_second_time(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.showdown.ops.yaml").touch()
    file, config = instance(ops=SMALL, team=SMALL)
    file.path = tmp_path / "Pulumi.showdown.yaml"
    cluster: Any = Cluster()
    with pytest.raises(UserError, match=r"^ops is in Pulumi.showdown.yaml and has a stack of its own.*tenants move"):
        check_update_is_safe(file, config, {}, cluster)
    check_update_is_safe(file, config, {}, cluster, Allowed("ops"))  # it is being moved
    check_update_is_safe(file, config, {"ops": applied(SMALL)}, cluster)  # only its other file is left


def test_a_program_that_is_missing_is_told_but_has_no_volume_that_could_be_lost() -> None:
    cluster: Any = Cluster(cortex=program(2, desired=3))
    assert state_of(cluster, "ops", ("cortex", "loki")) == "cortex 2 of 3 ready, loki is missing"
    require_ready(cluster, "ops", ("loki",), "")
    with pytest.raises(UserError, match=r"not ready \(cortex 2 of 3 ready\).* or so$"):
        require_ready(cluster, "ops", ("cortex", "loki"), "so")


def test_a_shorter_retention_is_said_whatever_an_update_that_failed_has_recorded_of_it() -> None:
    deployed = {"ops": applied(SMALL), "failed": applied(SMALL)}
    deployed["failed"].settings = exported(SHORTER)
    planned = plan({"ops": SHORTER, "failed": SHORTER}, deployed, None)  # type: ignore[arg-type]  # no tenant is deleted, so that AWS is not asked
    loss = "its metrics will be kept for 36h instead of 7d: older data will be deleted for good"
    assert f"{planned}".splitlines() == ["1 tenant to change (ops)", f"  failed: {loss}", f"  ops: {loss}"]
