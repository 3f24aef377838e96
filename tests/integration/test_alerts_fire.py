"""Faults of a tenant's back ends and of a collector are made, and the platform's alerts about them fire.

All programs are real: Cortex, Loki and Alertmanager of a tenant, the collector that scrapes them, and the Cortex of the system
tenant, whose ruler evaluates the platform's rules over what the collector sends. The faults add up, since an alert goes on for
some time after its fault. Faults of the cluster are in tests/e2e.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from components.collectors.rules.selectors import series
from components.collectors.rules.storage import FAILED_UPLOADS
from components.core.units import DAY
from tests.support.collector_faults import FAILED_LINES, FAILED_POINTS, REFUSED_POINTS, SENT_LINES
from tests.support.container_log import write
from tests.support.gateway import Gateway, Variant, signed
from tests.support.platform_rules import STANDS_STILL
from tests.support.polling import eventually
from tests.support.refusing_s3 import DELETIONS, READS, WRITES
from tests.support.s3_server import empty
from tests.support.watched_tenant import WatchedTenant

LINES = 6000  # of 500 characters: more than the queue has room for
TOO_LONG = "x" * 3000  # characters; Cortex takes 2,048 in the value of a label
# The queue of samples has no room for three scrapes of these series.
MANY = "".join(f'orders{{shop="{number}"}} 1\n' for number in range(5000))
SLOW_SECONDS = 3  # of a request with lines, each of which has an eighth of what the queue has room for
# Of each back end: where its rules are, an expression that cannot be evaluated, and one that always fires.
RULES = {
    "cortex": ("/api/v1/rules/team", 'label_replace(vector(1), "a", "$1", "b", "(")', "vector(1)"),
    "loki": ("/loki/api/v1/rules/team", 'sum_over_time({job=~".+"} | logfmt | unwrap value [1h])', "vector(1) > 0"),
}
# What a pod would expose to let alerts fire. With its `k8s_node_condition_ready`, it would hide ClusterMetricsOld.
FORGED = """
gateway:errors:ratio5m 1
gateway:answers:rate5m{envoy_response_code_class="5",job=""} 9
opstrace_key_not_after_seconds{key="k9"} %d
k8s_node_condition_ready{job="kubernetes",node="node-1"} -1
kubelet_certificate_manager_client_ttl_seconds{job="kubelet"} 60
cortex_compactor_last_successful_run_timestamp_seconds{job="cortex"} 1
otelcol_exporter_queue_size{job="collector"} 9
otelcol_exporter_queue_capacity{job="collector"} 10
"""
EVALUATED_SECONDS = 5  # the ruler evaluates each second
# Alerts that fire without a fault: the second one, because there is no cluster.
USUAL = {("Watchdog", ""), ("ClusterMetricsOld", "")}


@pytest.fixture(scope="module")
def tenant(s3: tuple[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedTenant]:
    tenant = WatchedTenant(tmp_path_factory.mktemp("watched"), s3[0])
    try:
        tenant.start()
        yield tenant
    finally:
        tenant.close()
        for bucket in s3[1].list_buckets()["Buckets"]:
            empty(s3[1], bucket["Name"])


def test_no_alert_fires_without_a_fault(tenant: WatchedTenant) -> None:
    tenant.until_firing(USUAL)
    time.sleep(STANDS_STILL)  # after which a compactor without a success stands still
    assert tenant.system.firing("tenant") == USUAL


def test_series_of_an_annotated_pod_raise_no_alert_and_hide_none(tenant: WatchedTenant) -> None:
    text = FORGED % (time.time() + DAY)
    tenant.expose(text)
    names = {line.partition("{")[0].partition(" ")[0] for line in text.split("\n") if line}
    query = f'count({{job="pods",__name__=~"{"|".join(sorted(names))}"}}) == {len(names)}'
    tenant.system.until(lambda: tenant.system.returns(query))
    time.sleep(EVALUATED_SECONDS)
    assert tenant.system.firing("tenant") == USUAL
    tenant.pod.clear()


@pytest.mark.fires("DeletionsFailing")
def test_an_alert_fires_when_the_bucket_refuses_to_delete_blocks(tenant: WatchedTenant, expected: set[str]) -> None:
    tenant.s3.refused = DELETIONS
    tenant.push_sample(3 * DAY)
    tenant.until_firing({(alert, "cortex") for alert in expected})


@pytest.mark.nightly  # Loki deletes each minute
@pytest.mark.fires("DeletionsFailing")
def test_an_alert_fires_when_the_bucket_refuses_to_delete_chunks(tenant: WatchedTenant, expected: set[str]) -> None:
    tenant.s3.refused = ()
    tenant.push_lines(3 * DAY)
    tenant.loki.stop()  # it uploads its index
    tenant.loki.start()
    tenant.s3.refused = DELETIONS  # without the right to delete, Loki does not start
    tenant.until_firing({(alert, "loki") for alert in expected}, seconds=240)


@pytest.mark.fires("RulesFailing")
def test_an_alert_fires_when_a_rule_cannot_be_evaluated(tenant: WatchedTenant, expected: set[str]) -> None:
    tenant.push_lines()
    for api, (path, failing, _) in RULES.items():
        tenant.set_rule(api, path, {"record": "a:b", "expr": failing})
    tenant.until_firing({(alert, api) for alert in expected for api in RULES})


@pytest.mark.fires("NotificationsFailing")
def test_an_alert_fires_when_a_receiver_does_not_answer(tenant: WatchedTenant, expected: set[str]) -> None:
    """The address of the receiver is a private one, which Alertmanager does not reach."""
    hook = {"name": "pager", "webhook_configs": [{"url": "http://127.0.0.1:9"}]}
    route = {"receiver": "pager", "group_wait": "0s", "group_interval": "1s"}
    tenant.set_receivers({"route": route, "receivers": [hook]})
    for api, (path, _, always) in RULES.items():
        tenant.set_rule(api, path, {"alert": "Always", "expr": always})
    tenant.until_firing({(alert, "alertmanager") for alert in expected})


@pytest.mark.fires("NotificationsFailing")
def test_an_alert_fires_when_rulers_do_not_reach_the_alertmanager(tenant: WatchedTenant, expected: set[str]) -> None:
    tenant.alertmanager.kill()
    tenant.until_firing({(alert, api) for alert in expected for api in RULES})


@pytest.mark.fires("BackEndNotScraped")
def test_an_alert_fires_when_a_back_end_does_not_answer(tenant: WatchedTenant, expected: set[str]) -> None:
    tenant.alertmanager.kill()
    tenant.until_firing({(alert, "alertmanager") for alert in expected})


@pytest.mark.fires("MetricsCompactionFailing", "MetricsRetentionFailing", "UploadsFailing")
def test_alerts_fire_when_the_bucket_of_blocks_cannot_be_read(tenant: WatchedTenant, expected: set[str]) -> None:
    """Cortex looks into the bucket before it uploads."""
    tenant.s3.refused = READS
    tenant.push_sample()
    tenant.until_firing({(alert, "cortex") for alert in expected})


@pytest.mark.nightly  # Loki keeps the list of its tables for a minute
@pytest.mark.fires("LogsCompactionFailing", "LogsRetentionFailing")
def test_alerts_fire_when_the_bucket_of_chunks_cannot_be_read(tenant: WatchedTenant, expected: set[str]) -> None:
    tenant.s3.refused = READS
    tenant.until_firing({(alert, "loki") for alert in expected}, seconds=240)


@pytest.mark.fires("UploadsFailing")
def test_an_alert_fires_when_the_bucket_takes_nothing(tenant: WatchedTenant, expected: set[str]) -> None:
    """Those of Cortex may fire already; what it looks at has series now."""
    tenant.s3.refused = WRITES
    tenant.push_sample()
    tenant.push_lines()
    tenant.system.until(lambda: tenant.system.returns(f"{FAILED_UPLOADS[0]} > 0"))
    tenant.until_firing({(alert, api) for alert in expected for api in RULES})


@pytest.mark.fires("CollectorDataLost")
def test_an_alert_fires_when_an_outage_fills_the_queue_of_samples(tenant: WatchedTenant, expected: set[str]) -> None:
    lost = {(alert, "otlp_http/metrics") for alert in expected}
    assert not tenant.system.firing("exporter") & lost
    tenant.expose(MANY)
    tenant.way.cut()
    eventually(lambda: tenant.collector.own_metric(REFUSED_POINTS) > 0, detail=tenant.collector.said)
    tenant.pod.clear()
    tenant.way.restore()
    tenant.until_firing(lost, "exporter")
    assert not tenant.system.returns(series("collector", FAILED_POINTS))  # so nothing else lets it fire


@pytest.mark.fires("CollectorDataLost")
def test_an_alert_fires_when_the_system_tenant_refuses_samples(tenant: WatchedTenant, expected: set[str]) -> None:
    """It may fire already; what it looks at has series now."""
    tenant.expose(f'orders{{shop="{TOO_LONG}"}} 1\n')
    tenant.system.until(lambda: tenant.system.returns(f"{series('collector', FAILED_POINTS)} > 0"))
    tenant.until_firing({(alert, "otlp_http/metrics") for alert in expected}, "exporter")
    tenant.pod.clear()


@pytest.mark.fires("ClusterLogsMissing")
def test_an_alert_fires_when_no_line_is_read_although_the_gateway_writes_some(
    tenant: WatchedTenant, gateway: Gateway, expected: set[str]
) -> None:
    gateway.set_keys()
    gateway.start(variant=Variant(system_tenant=tenant.system.port))

    def fires() -> bool:
        assert gateway.ask(signed())[0] == 200
        return expected <= {name for name, _ in tenant.system.firing("node")}

    tenant.system.until(fires)
    file = tenant.collector.log_file("shop", "cart-1", "web")

    def ends() -> bool:
        write(file, "line")
        return not fires()

    tenant.system.until(ends)


@pytest.mark.fires("ClusterLogsOld", "CollectorQueueFillingUp", "CollectorLinesWait")
def test_alerts_fire_when_a_collector_cannot_send_lines(tenant: WatchedTenant, expected: set[str]) -> None:
    write(
        tenant.collector.log_file("shop", "cart-1", "web"),
        *(f"line {number}".ljust(500, "x") for number in range(LINES)),
    )
    tenant.until_firing({(alert, "node-1") for alert in expected}, "node")


@pytest.mark.fires("ClusterLogsOld")
def test_an_alert_fires_when_lines_are_sent_too_slowly_and_ends(tenant: WatchedTenant, expected: set[str]) -> None:
    late = {(alert, "node-1") for alert in expected}
    file = tenant.collector.log_file("shop", "cart-2", "web")
    write(file, *(f"slow {number}".ljust(500, "x") for number in range(LINES)))
    tenant.lines.seconds = SLOW_SECONDS
    tenant.lines.up()
    sends = f"rate({series('collector', SENT_LINES)}[3m]) > 0"
    tenant.system.until(lambda: tenant.system.returns(sends))
    time.sleep(EVALUATED_SECONDS)  # it does not fire any more because nothing is sent
    tenant.until_firing(late, "node")
    tenant.lines.seconds = 0
    tenant.system.until(lambda: not late & tenant.system.firing("node"))
    tenant.lines.down()


@pytest.mark.fires("CollectorDataLost")
def test_an_alert_fires_when_the_system_tenant_refuses_lines(tenant: WatchedTenant, expected: set[str]) -> None:
    tenant.lines.status = 400
    tenant.lines.up()
    write(tenant.collector.log_file("shop", "cart-3", "web"), "refused")
    tenant.until_firing({(alert, "otlp_http/logs") for alert in expected}, "exporter")
    assert tenant.system.returns(f"{series('collector', FAILED_LINES)} > 0")
