"""The platform's rules on a live instance: they have data, and alerts arrive. Their faults: test_platform_alerts.py."""

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from components.collectors.rules.file import groups
from components.collectors.rules.gateway import RATE_OF_ANSWERS, SERVER_ERRORS
from components.collectors.rules.rule import Recording
from components.collectors.rules.selectors import recorded
from localcloud.user_cluster import local_address
from tests.support.expressions import selectors
from tests.support.live_alerts import FAULT_SECONDS, firing
from tests.support.polling import eventually
from tests.support.queries import METRICS, asked
from tests.support.receiver import Receiver
from tests.support.user_session import UserSession, url

RULES = [rule for group in groups({}) for rule in group.rules]
# These appear with the first fault or deletion, with a limited key, with a token near its end, or with rules or an
# Alertmanager of a tenant.
RARE = {
    "cortex_alertmanager_notifications_failed_total",
    "cortex_ingester_shipper_dir_sync_failures_total",
    "cortex_ingester_shipper_upload_failures_total",
    "cortex_prometheus_notifications_errors_total",
    "envoy_http_rbac_shadow_allowed_total",
    "kubelet_certificate_manager_client_ttl_seconds",  # of kubelets that renew their certificates
    "kubelet_certificate_manager_server_ttl_seconds",
    "loki_boltdb_shipper_retention_sweeper_chunk_deleted_duration_seconds_count",
    "loki_prometheus_notifications_errors_total",
    "loki_prometheus_rule_evaluation_failures_total",
    "opstrace_key_not_after_seconds",
    *(
        f"otelcol_exporter_{kind}_failed_{data}_total"
        for kind in ("send", "enqueue")
        for data in ("log_records", "metric_points")
    ),
}
ERRORS = {recorded(RATE_OF_ANSWERS, SERVER_ERRORS)}  # appear with the first error
START_SECONDS = 180  # until the collectors and the ruler have run, on a busy machine


@pytest.mark.fires("Watchdog")
def test_the_platform_s_rules_are_in_force(walk: UserSession, expected: set[str]) -> None:
    eventually(lambda: firing(walk) >= expected, START_SECONDS, detail=lambda: firing(walk))


def test_what_rules_read_has_data(walk: UserSession) -> None:
    """With a job or another label that no series has, a rule would never fire."""
    written = {recorded(rule.record) for rule in RULES if isinstance(rule, Recording)}
    read = {selector for rule in RULES for selector in selectors(rule.expr)} | written
    missing = [one for one in sorted(read - ERRORS) if one.partition("{")[0] not in RARE]
    assert len(missing) > 30

    def none_is_left() -> bool:
        missing[:] = [one for one in missing if not asked(walk, METRICS, query=f"count({one})")]
        return missing == []

    eventually(none_is_left, START_SECONDS, detail=lambda: missing)


def test_the_ruler_of_the_system_tenant_takes_no_rules_by_its_api(walk: UserSession) -> None:
    group = json.dumps({"name": "a", "rules": [{"record": "a:b", "expr": "1"}]})
    rules = url("cortex", "system", "/api/v1/rules/team")
    arguments = ("-X", "POST", "-H", "Content-Type: application/yaml", "--data-binary", group)
    status, text = walk.curl(rules, *arguments, token=walk.token("system"))
    assert status == 500 and "unsupported" in text


@pytest.fixture
def receiver(walk: UserSession) -> Iterator[Receiver]:
    server = Receiver(local_address(str(urlsplit(walk.shell["AWS_ENDPOINT_URL"]).hostname)))
    yield server
    server.close()


@pytest.mark.nightly
def test_alerts_of_the_platform_arrive_at_a_receiver(
    walk: UserSession, file_as_before: None, receiver: Receiver
) -> None:
    defaults = {"enabled": "true", "privateReceivers[0]": f"{receiver.address}/32"}
    for name, value in defaults.items():
        walk.pulumi("config", "set", "--path", f"opstrace:tenantDefaults.alertmanager.{name}", value)
    walk.pulumi("up", "--yes", "--skip-preview")
    hook = {"name": "pager", "webhook_configs": [{"url": receiver.url}]}
    routes = {"route": {"receiver": "pager", "group_wait": "1s"}, "receivers": [hook]}
    config = json.dumps({"alertmanager_config": json.dumps(routes)})
    arguments = ("-X", "POST", "-H", "Content-Type: application/yaml", "--data-binary", config)
    alerts = url("cortex", "system", "/api/v1/alerts")
    eventually(lambda: walk.curl(alerts, *arguments, token=walk.token("system"))[0] == 201)
    eventually(lambda: "Watchdog" in receiver.alerts(), FAULT_SECONDS)
