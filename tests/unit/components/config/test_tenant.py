"""A tenant's settings: defaults, checks, and the configuration of the back ends."""

import dataclasses
import json
from typing import Any

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.collectors.export import BATCH_BYTES
from components.config.base import merged
from components.config.load import from_settings
from components.config.platform.system_tenant import SYSTEM_DEFAULTS
from components.config.tenant import TenantSettings
from components.core.errors import ConfigError
from components.core.tags import NAME_LABEL, TENANT_TAG
from components.core.units import hours, interval_seconds
from components.shared.pods import Aws
from components.tenant.back_ends.alertmanager import alertmanager_config
from components.tenant.back_ends.cortex import OWN_DEFAULTS, cortex_config, cortex_limits
from components.tenant.back_ends.loki import loki_config, loki_limits
from components.tenant.back_ends.store import StoreArgs
from components.tenant.buckets import SAFETY_DAYS, lifecycle
from tests.support.factories import CLUSTER, settings


def of(tenant: dict[str, Any], defaults: dict[str, Any] | None = None) -> TenantSettings:
    enforcing = CLUSTER | {"enforcesNetworkPolicies": True}
    stack = settings(tenants=[{"name": "default"} | tenant], tenantDefaults=defaults or {}, cluster=enforcing)
    return from_settings(stack, "showdown").settings_of("default")


def test_a_tenant_without_settings_has_the_original_s_seven_days_and_keeps_its_data() -> None:
    plain = of({})
    assert (hours(plain.retention.metrics), hours(plain.retention.logs)) == (168, 168)
    assert plain.on_delete == "retain" and not plain.protect and plain.pods().replicas == 1


def test_a_tenant_s_own_settings_stand_upon_the_defaults_name_by_name() -> None:
    defaults = {"retention": {"metrics": "30d"}, "limits": {"metrics": {"ingestion_rate": 5}}, "owner": "a"}
    own = {"retention": {"logs": "2d"}, "limits": {"metrics": {"max_exemplars": 7}}, "tags": {"cost": "1"}}
    result = of(own, defaults)
    assert (result.retention.metrics, result.retention.logs, result.owner) == ("30d", "2d", "a")
    assert cortex_limits(result) == OWN_DEFAULTS | {
        "ingestion_rate": 5.0,
        "max_exemplars": 7,
        "compactor_blocks_retention_period": "720h",
    }
    assert loki_limits(result, "default") == {"retention_period": "48h"}
    config = from_settings(settings(tenantDefaults=defaults), "showdown")
    assert config.settings_of("system").retention.metrics == "30d"


def test_the_system_tenant_has_limits_of_its_own_by_default() -> None:
    """What nobody set costs no more than docs/explanation/scale.md says."""
    own = from_settings(settings(), "showdown").settings_of("system")
    metrics, logs = cortex_limits(own), loki_limits(own, "system")
    bounded = {*SYSTEM_DEFAULTS.limits.metrics.model_dump(exclude_none=True)}
    assert bounded == {
        "max_series_per_user",
        "ingestion_rate",
        "ingestion_burst_size",
        "out_of_order_time_window",
        "max_label_names_per_series",
    }
    assert {name: metrics[name] for name in bounded} == SYSTEM_DEFAULTS.limits.metrics.model_dump(exclude_none=True)
    assert {*SYSTEM_DEFAULTS.limits.logs.model_dump(exclude_none=True)} <= {*logs}
    assert (metrics["compactor_blocks_retention_period"], logs["retention_period"]) == ("168h", "168h")
    assert "max_series_per_user" not in cortex_limits(of({}))


def test_the_limits_of_the_system_tenant_are_settable_and_the_common_defaults_hold_before_its_own() -> None:
    defaults = {"limits": {"metrics": {"ingestion_rate": 5, "max_series_per_user": 6}}, "retention": {"logs": "2d"}}
    own = {"limits": {"metrics": {"ingestion_rate": 7}}, "retention": {"metrics": "3d"}}
    result = from_settings(settings(tenantDefaults=defaults, systemTenant=own), "showdown").settings_of("system")
    metrics = result.limits.metrics
    assert (metrics.ingestion_rate, metrics.max_series_per_user) == (7, 6)
    assert metrics.ingestion_burst_size == SYSTEM_DEFAULTS.limits.metrics.ingestion_burst_size
    assert (result.retention.metrics, result.retention.logs) == ("3d", "2d")


def test_one_push_of_a_collector_is_within_the_bursts_of_the_system_tenant() -> None:
    """A larger push would be refused each time, and the collector would try it again without end."""
    limits = SYSTEM_DEFAULTS.limits
    assert limits.logs.ingestion_burst_size_mb and limits.logs.ingestion_burst_size_mb * 2**20 >= 4 * BATCH_BYTES
    least_bytes = 16  # of a sample in OTLP: a bucket of a histogram has a bound and a count
    assert limits.metrics.ingestion_burst_size and limits.metrics.ingestion_burst_size >= BATCH_BYTES // least_bytes


def test_a_part_of_a_size_leaves_the_others_as_the_default_has_them() -> None:
    result = of({"size": {"metrics": {"cpu": "4"}}}, {"size": "large"}).pods()
    assert (result.replicas, result.metrics.cpu, result.metrics.volume) == (3, "4", "200Gi")


def test_a_setting_that_does_not_fit_the_defaults_is_refused_with_its_tenant_and_place() -> None:
    defaults = {"size": {"metrics": {"memory": "4Gi", "memoryLimit": "8Gi"}}}
    with pytest.raises(
        ConfigError, match=r"1 problem .*\n.* the tenant default: .*tenantDefaults.* size\.metrics: memory"
    ):
        of({"size": {"metrics": {"memoryLimit": "2Gi"}}}, defaults)


def test_no_limit_can_be_said_as_a_number() -> None:
    assert cortex_limits(of({"limits": {"metrics": {"max_query_length": 0}}}))["max_query_length"] == "0"


@pytest.mark.parametrize(
    ("tenant", "problem"),
    [
        ({"retention": {"metrics": "23h"}}, "'23h' is less than 24h"),
        ({"retention": {"logs": "forever"}}, "no duration such as"),
        ({"limits": {"metrics": {"ingestion_rat": 1}}}, "did you mean 'ingestion_rate'?"),
        ({"limits": {"logs": {"ingestion_rate": 1}}}, "did you mean 'ingestion_rate_mb'?"),
        ({"limits": {"metrics": {"max_exemplars": -1}}}, "greater than or equal to 0 (given: -1)"),
        ({"limits": {"metrics": {"ha_cluster_label": "a-b"}}}, "the name of a label: letters, digits and _"),
        (
            {"limits": {"metrics": {"ha_cluster_label": "__replica__"}}},
            "ha_cluster_label and ha_replica_label are both '__replica__'",
        ),
        ({"size": "huge"}, "'small', 'medium' or 'large' (given: 'huge')"),
        ({"size": {"replicas": 2}}, "must be 1 or 3 (given: 2)"),
        ({"size": {"metrics": {"cpuu": "1"}}}, "size.metrics.cpuu: there is no such setting; did you mean 'cpu'?"),
        ({"size": {"logs": {"volume": "ten"}}}, "(given: 'ten')"),
        ({"size": {"logs": {"volume": "0"}}}, "(given: '0')"),
        ({"size": {"logs": {"volume": "10"}}}, "volume: '10' is 10 bytes: it has no unit; write 10Gi or 10Mi"),
        ({"size": {"logs": {"volume": 10}}}, "volume: '10' is 10 bytes: it has no unit; write 10Gi or 10Mi"),
        ({"size": {"logs": {"memory": "256"}}}, "memory: '256' is 256 bytes: it has no unit; write 256Gi or 256Mi"),
        ({"size": {"logs": {"memoryLimit": "500m"}}}, "'500m' is 0.5 bytes: write 10Gi or 256Mi"),
        (
            {"retention": "30d"},
            "retention: must be a mapping of names to values; it has metrics and logs (given: '30d')",
        ),
        (
            {"size": {"logs": "10Gi"}},
            "logs: must be a mapping of names to values; it has cpu, memory, memoryLimit and volume",
        ),
        ({"limits": {"metrics": 5}}, " and others (given: 5)"),
        ({"alertmanager": True}, "alertmanager: must be a mapping of names to values; it has enabled"),
        ({"size": {"logs": {"memory": "4Gi"}}}, "memory '4Gi' is more than memoryLimit '2Gi'"),
        ({"retention": {"logs": "1000y"}}, "more than a hundred years"),
        ({"limits": {"logs": {"query_timeout": "1m1h"}}}, "(given: '1m1h')"),
        ({"limits": {"metrics": {"ingestion_rate": float("inf")}}}, "finite number"),
        ({"owner": "R&D <a@b>"}, "(given: 'R&D <a@b>')"),
        ({"tags": {"k" * 200: "v"}}, "AWS does not accept the tag"),
        ({"alertmanager": {"privateReceivers": ["10.0.0.1/8"]}}, "'10.0.0.1/8' is not an IPv4 range"),
        ({"alertmanager": {"privateReceivers": ["0.0.0.0/0"]}}, "'0.0.0.0/0' covers this host (0.0.0.0/8)"),
        ({"alertmanager": {"privateReceivers": ["169.254.169.254/32"]}}, "hand out a node's and a pod's credentials"),
        ({"alertmanager": {"privateReceivers": ["169.254.170.23/32"]}}, "(169.254.0.0/16)"),
        ({"alertmanager": {"privateReceivers": ["128.0.0.0/1"]}}, "'128.0.0.0/1' covers the addresses that hand out"),
        (
            {"alertmanager": {"privateReceivers": ["10.0.0.0/8", "127.0.0.1/32"]}},
            "'127.0.0.1/32' covers the pod itself",
        ),
        ({"alertmanager": {"enable": True}}, "did you mean 'enabled'?"),
        ({"rulePollInterval": "5"}, "'5' is no interval such as 30s, 5m or 1h"),
        ({"rulePollInterval": "9s"}, "'9s' must be 10s at least and 1h at most"),
        ({"rulePollInterval": "61m"}, "'61m' must be 10s at least and 1h at most"),
        ({"onDelete": "keep"}, "'retain' or 'purge' (given: 'keep')"),
        ({"labels": {NAME_LABEL: "x"}}, "is reserved for Kubernetes or Opstrace"),
        ({"labels": {"a": "b c"}}, "'b c' is not a label value"),
        ({"tags": {TENANT_TAG: "other"}}, f"the tag {TENANT_TAG!r} is reserved"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place_and_its_value(tenant: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match="1 problem") as refused:
        of(tenant)
    assert problem in str(refused.value) and "opstrace:tenants.default." in str(refused.value)


@given(st.dictionaries(st.text(), st.integers() | st.dictionaries(st.text(), st.integers())))
def test_nothing_of_what_is_laid_upon_the_base_is_lost(over: dict[str, Any]) -> None:
    assert merged({}, over) == over
    assert merged(over, {}) == over
    assert merged(over, over) == over


def test_the_safety_net_is_never_shorter_than_the_retention() -> None:
    logs, index, uploads = lifecycle("default", "logs", 30)
    assert logs["expiration"] == index["expiration"] == {"days": 30 + SAFETY_DAYS}
    assert SAFETY_DAYS > 0
    assert (logs["filter"]["prefix"], index["filter"]["prefix"]) == ("default/", "index/")  # the rules beside them stay
    assert "expiration" not in uploads
    (alone,) = lifecycle("default", "config", None)
    assert "expiration" not in alone


def _store(tenant: dict[str, Any]) -> StoreArgs:
    nothing: Any = pulumi.Output
    return StoreArgs(
        instance="showdown",
        tenant="default",
        settings=of(tenant),
        namespace=nothing,
        buckets={},
        role_arn=nothing,
        aws=Aws(region="us-west-2"),
        storage_class=None,
        domain="showdown.example.com",
    )


def test_limits_and_retention_change_no_configuration_for_which_a_pod_would_restart() -> None:
    plain, other = _store({}), _store({"retention": {"metrics": "1y"}, "limits": {"logs": {"query_timeout": "5m"}}})
    assert cortex_config(plain, "m", "c") == cortex_config(other, "m", "c")
    assert loki_config(plain, "l") == loki_config(other, "l")


def test_three_replicas_write_everything_three_times_and_find_each_other() -> None:
    one, three = _store({}), _store({"size": {"replicas": 3}})
    assert "memberlist" not in json.dumps(loki_config(one, "l"))
    assert cortex_config(one, "m", "c")["memberlist"] == {"bind_addr": ["127.0.0.1"], "bind_port": 0}
    cortex, loki = cortex_config(three, "m", "c"), loki_config(three, "l")
    assert cortex["ingester"]["lifecycler"]["ring"]["replication_factor"] == 3
    assert loki["common"]["replication_factor"] == 3
    assert cortex["memberlist"]["join_members"] == ["dns+cortex-gossip:7946"]
    assert loki["memberlist"]["join_members"] == ["dns+loki-gossip:7946"]


def test_queriers_take_queries_from_the_frontends_of_all_pods_without_a_ring_of_schedulers() -> None:
    for replicas, address in ((1, "127.0.0.1:9096"), (3, "loki-gossip:9096")):
        loki = loki_config(_store({"size": {"replicas": replicas}}), "l")
        assert loki["query_scheduler"] == {"use_scheduler_ring": False}
        assert loki["frontend_worker"] == {"frontend_address": address}


@pytest.mark.parametrize("replicas", [1, 3])
def test_what_prometheus_stores_and_pairs_of_it_need_is_on(replicas: int) -> None:
    config, limits = cortex_config(_store({"size": {"replicas": replicas}}), "m", "c"), cortex_limits(of({}))
    assert limits["enable_native_histograms"] and limits["max_exemplars"] > 0
    assert limits["out_of_order_time_window"] == "10m"
    assert limits["accept_ha_samples"] and config["limits"]["accept_mixed_ha_samples"]
    tracker = config["distributor"]["ha_tracker"]
    assert tracker["enable_ha_tracker"] and tracker["kvstore"]["store"] == "memberlist"


def test_a_pair_s_labels_are_compared_with_those_of_the_defaults() -> None:
    own, defaults = ({"limits": {"metrics": {name: "pair"}}} for name in ("ha_replica_label", "ha_cluster_label"))
    with pytest.raises(ConfigError, match=r"the tenant default: .*limits\.metrics: .* are both 'pair'"):
        of(own, defaults)


@pytest.mark.parametrize("enabled", [True, False])
def test_both_rulers_send_alerts_to_the_tenant_s_alertmanager(enabled: bool) -> None:
    store = _store({"alertmanager": {"enabled": enabled}})
    urls = {
        config["ruler"].get("alertmanager_url") for config in (cortex_config(store, "m", "c"), loki_config(store, "l"))
    }
    assert urls == {"http://alertmanager/alertmanager" if enabled else None}


def test_what_loki_s_rules_record_goes_to_the_tenant_s_cortex() -> None:
    sent = loki_config(_store({}), "l")["ruler"]["remote_write"]
    assert sent == {"enabled": True, "clients": {"cortex": {"url": "http://cortex/api/v1/push"}}}


def test_loki_takes_structured_metadata() -> None:
    assert loki_config(_store({}), "l")["limits_config"]["allow_structured_metadata"]


@pytest.mark.parametrize(("settings", "enabled"), [({}, True), ({"logPatterns": False}, False)])
def test_loki_finds_patterns_unless_it_is_told_not_to(settings: dict[str, Any], enabled: bool) -> None:
    assert loki_config(_store(settings), "l")["pattern_ingester"]["enabled"] is enabled


@pytest.mark.parametrize(("size", "seconds"), [("small", "0s"), ("large", "10s")])
def test_a_single_loki_is_ready_at_once_and_one_of_several_once_it_knows_the_others(size: str, seconds: str) -> None:
    config = loki_config(_store({"size": size}), "l")
    waits = {part: config[part]["lifecycler"]["min_ready_duration"] for part in ("ingester", "pattern_ingester")}
    assert waits == {"ingester": seconds, "pattern_ingester": seconds}


S3_AT_AWS = "https://bucket.vpce-1.s3.us-west-2.vpce.amazonaws.com"


@pytest.mark.parametrize(
    ("endpoints", "own", "interval"),
    [
        ({}, {}, "5m"),
        ({"s3": S3_AT_AWS}, {}, "5m"),
        ({"s3": "http://127.0.0.1:5000"}, {}, "15s"),
        ({}, {"rulePollInterval": "30s"}, "30s"),
        ({"s3": "http://127.0.0.1:5000"}, {"rulePollInterval": "1h"}, "1h"),
    ],
)
def test_rules_are_polled_rarely_where_aws_charges_for_it(
    endpoints: dict[str, str], own: dict[str, Any], interval: str
) -> None:
    store = dataclasses.replace(_store(own), aws=Aws(region="us-west-2", endpoints=endpoints))
    polled = (
        cortex_config(store, "m", "c")["ruler"],
        loki_config(store, "l")["ruler"],
        alertmanager_config(store, "c", "https://cortex.example.com")["alertmanager"],
    )
    assert {block["poll_interval"] for block in polled} == {interval}


INGESTERS_KEEP_BLOCKS = 6 * 3600  # Cortex's default of `blocks_storage.tsdb.retention_period`


@pytest.mark.parametrize("replicas", [1, 3])
def test_queries_use_an_index_of_blocks_only_while_ingesters_have_what_it_lacks(replicas: int) -> None:
    config = cortex_config(_store({"size": {"replicas": replicas}}), "m", "c")
    store = config["blocks_storage"]
    oldest = interval_seconds(store["bucket_store"]["bucket_index"]["max_stale_period"])
    written = interval_seconds(config["compactor"]["cleanup_interval"])
    scanned = interval_seconds(store["users_scanner"]["cache_ttl"])
    assert written + scanned + oldest < INGESTERS_KEEP_BLOCKS
    assert 3 * written < oldest  # two updates may fail
    assert "retention_period" not in store["tsdb"]
