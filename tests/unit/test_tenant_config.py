"""A tenant's settings: defaults, what is refused, and what they become."""

import json
from typing import Any

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.backend import StoreArgs
from components.buckets import SAFETY_DAYS, lifecycle
from components.config import from_settings
from components.cortex import ALERTMANAGER_LIMITS, cortex_config, cortex_limits
from components.errors import ConfigError
from components.loki import loki_config, loki_limits
from components.section import hours, merged
from components.tenant_config import TenantSettings
from components.workload import Aws
from tests.unit.given import settings


def of(tenant: dict[str, Any], defaults: dict[str, Any] | None = None) -> TenantSettings:
    given = settings(tenants=[{"name": "default"} | tenant], tenantDefaults=defaults or {})
    return from_settings(given, "showdown").settings_of("default")


def test_a_tenant_without_settings_has_the_original_s_seven_days_and_keeps_its_data() -> None:
    plain = of({})
    assert (hours(plain.retention.metrics), hours(plain.retention.logs)) == (168, 168)
    assert plain.on_delete == "retain" and not plain.protect and plain.pods().replicas == 1


def test_a_tenant_s_own_settings_stand_upon_the_defaults_name_by_name() -> None:
    defaults = {"retention": {"metrics": "30d"}, "limits": {"metrics": {"ingestion_rate": 5}}, "owner": "a"}
    own = {"retention": {"logs": "2d"}, "limits": {"metrics": {"max_exemplars": 7}}, "tags": {"cost": "1"}}
    found = of(own, defaults)
    assert (found.retention.metrics, found.retention.logs, found.owner) == ("30d", "2d", "a")
    assert cortex_limits(found) == ALERTMANAGER_LIMITS | {
        "ingestion_rate": 5.0,
        "max_exemplars": 7,
        "compactor_blocks_retention_period": "720h",
    }
    assert loki_limits(found) == {"retention_period": "48h"}
    config = from_settings(settings(tenantDefaults=defaults), "showdown")
    assert config.settings_of("system").retention.metrics == "30d"


def test_a_part_of_a_size_leaves_the_others_as_the_default_has_them() -> None:
    found = of({"size": {"metrics": {"cpu": "4"}}}, {"size": "large"}).pods()
    assert (found.replicas, found.metrics.cpu, found.metrics.volume) == (3, "4", "200Gi")


def test_no_limit_can_be_said_as_a_number() -> None:
    assert cortex_limits(of({"limits": {"metrics": {"max_query_length": 0}}}))["max_query_length"] == "0"


@pytest.mark.parametrize(
    ("tenant", "said"),
    [
        ({"retention": {"metrics": "23h"}}, "'23h' is less than 24h"),
        ({"retention": {"logs": "forever"}}, "no duration such as"),
        ({"limits": {"metrics": {"ingestion_rat": 1}}}, "did you mean 'ingestion_rate'?"),
        ({"limits": {"logs": {"ingestion_rate": 1}}}, "did you mean 'ingestion_rate_mb'?"),
        ({"limits": {"metrics": {"max_exemplars": -1}}}, "greater than or equal to 0 (given: -1)"),
        ({"size": "huge"}, "'small', 'medium' or 'large' (given: 'huge')"),
        ({"size": {"replicas": 2}}, "should be 1 or 3 (given: 2)"),
        ({"size": {"metrics": {"cpuu": "1"}}}, "size.metrics.cpuu: there is no such setting; did you mean 'cpu'?"),
        ({"size": {"logs": {"volume": "ten"}}}, "(given: 'ten')"),
        ({"size": {"logs": {"volume": "0"}}}, "(given: '0')"),
        ({"size": {"logs": {"memory": "4Gi"}}}, "memory '4Gi' is more than memoryLimit '2Gi'"),
        ({"retention": {"logs": "1000y"}}, "more than a hundred years"),
        ({"limits": {"logs": {"query_timeout": "1m1h"}}}, "(given: '1m1h')"),
        ({"limits": {"metrics": {"ingestion_rate": float("inf")}}}, "finite number"),
        ({"owner": "R&D <a@b>"}, "(given: 'R&D <a@b>')"),
        ({"tags": {"k" * 200: "v"}}, "is none that AWS takes"),
        ({"alertmanager": {"privateReceivers": ["10.0.0.1/8"]}}, "'10.0.0.1/8' is no IPv4 range"),
        ({"alertmanager": {"enable": True}}, "did you mean 'enabled'?"),
        ({"onDelete": "keep"}, "'retain' or 'purge' (given: 'keep')"),
        ({"labels": {"app.kubernetes.io/name": "x"}}, "is Kubernetes's or our own"),
        ({"labels": {"a": "b c"}}, "'b c' is no label value"),
        ({"tags": {"opstrace:tenant": "other"}}, "is AWS's or our own"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place_and_its_value(tenant: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match="1 problem") as refused:
        of(tenant)
    assert said in str(refused.value) and "tenants.0." in str(refused.value)


@given(st.dictionaries(st.text(), st.integers() | st.dictionaries(st.text(), st.integers())))
def test_nothing_of_what_is_laid_upon_the_base_is_lost(over: dict[str, Any]) -> None:
    assert merged({}, over) == over
    assert merged(over, {}) == over
    assert merged(over, over) == over


def test_the_safety_net_is_never_shorter_than_the_retention() -> None:
    logs, index, uploads = lifecycle("default", "logs", 30)
    assert logs.expiration.days == index.expiration.days == 30 + SAFETY_DAYS > 30
    assert (logs.filter.prefix, index.filter.prefix) == ("default/", "index/")  # rules stand beside them, and stay
    assert uploads.expiration is None
    (alone,) = lifecycle("default", "config", None)
    assert alone.expiration is None


def _store(tenant: dict[str, Any]) -> StoreArgs:
    nothing: Any = pulumi.Output
    return StoreArgs("showdown", "default", of(tenant), nothing, {}, nothing, Aws("us-west-2"), None)


def test_limits_and_retention_change_no_configuration_for_which_a_pod_would_restart() -> None:
    plain, other = _store({}), _store({"retention": {"metrics": "1y"}, "limits": {"logs": {"query_timeout": "5m"}}})
    assert cortex_config(plain, "m", "c") == cortex_config(other, "m", "c")
    assert loki_config(plain, "l") == loki_config(other, "l")


def test_three_replicas_write_everything_three_times_and_find_each_other() -> None:
    one, three = _store({}), _store({"size": {"replicas": 3}})
    assert "memberlist" not in json.dumps(cortex_config(one, "m", "c")) + json.dumps(loki_config(one, "l"))
    cortex, loki = cortex_config(three, "m", "c"), loki_config(three, "l")
    assert cortex["ingester"]["lifecycler"]["ring"]["replication_factor"] == 3
    assert loki["common"]["replication_factor"] == 3
    assert cortex["memberlist"]["join_members"] == ["dns+cortex-gossip:7946"]
    assert loki["memberlist"]["join_members"] == ["dns+loki-gossip:7946"]
