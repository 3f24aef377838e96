"""Rules about the pods of tenants, and what each tenant sends."""

from components.collectors.rules.rule import Alert, Group, Recording, rise
from components.collectors.rules.selectors import of_back_end, series
from components.core.names import ALERTMANAGER, APIS, COLLECTORS_NAMESPACE, GATEWAY_NAMESPACE

TENANT_NAMESPACES = "[a-z0-9]+-tenant"
OF_TENANTS = f'namespace=~"{TENANT_NAMESPACES}"'
OF_INSTANCE = f'namespace=~"{TENANT_NAMESPACES}|{GATEWAY_NAMESPACE}|{COLLECTORS_NAMESPACE}"'
PODS = "namespace, statefulset"


def _rate(counter: str) -> str:
    """Return the expression for the rate of a counter of each tenant."""
    return f"sum by (tenant) (rate({of_back_end(counter)}[5m]))"


GROUP = Group(
    name="tenants",
    rules=[
        Recording(
            record="tenant:samples:rate5m",
            expr=_rate("cortex_distributor_received_samples_total"),
        ),
        Recording(record="tenant:series:sum", expr=f"sum by (tenant) ({of_back_end('cortex_ingester_memory_series')})"),
        Recording(record="tenant:log_lines:rate5m", expr=_rate("loki_distributor_lines_received_total")),
        Recording(record="tenant:log_bytes:rate5m", expr=_rate("loki_distributor_bytes_received_total")),
        Alert(
            name="TenantNotReady",
            expr=(
                f"max by ({PODS}) ({series('kubernetes', 'k8s_statefulset_ready_pods', OF_TENANTS)})"
                f" < max by ({PODS}) ({series('kubernetes', 'k8s_statefulset_desired_pods', OF_TENANTS)})"
            ),
            minutes=10,
            severity="critical",
            summary="{{ $labels.statefulset }} in {{ $labels.namespace }} has only {{ $value }} ready pods.",
        ),
        Alert(
            name="BackEndNotScraped",
            expr='up{job=~"cortex|loki|alertmanager"} == 0',
            minutes=10,
            severity="warning",
            summary="{{ $labels.pod }} in {{ $labels.namespace }} does not give its metrics.",
        ),
        Alert(
            name="ContainerRestarts",
            # The count of a pod, which starts anew with the pod.
            expr=f"delta({series('kubernetes', 'k8s_container_restarts', OF_INSTANCE)}[30m]) > 2",
            minutes=0,
            severity="warning",
            summary="{{ $labels.container }} of {{ $labels.pod }} in {{ $labels.namespace }} restarts again and again.",
        ),
        Alert(
            name="RulesFailing",
            expr=rise([of_back_end(f"{api}_prometheus_rule_evaluation_failures_total") for api in APIS], "15m"),
            minutes=15,
            severity="warning",
            summary="Rules of the tenant {{ $labels.tenant }} cannot be evaluated.",
        ),
        Alert(
            name="NotificationsFailing",
            expr=rise(
                [
                    *(of_back_end(f"{api}_prometheus_notifications_errors_total") for api in APIS),
                    series(ALERTMANAGER, "cortex_alertmanager_notifications_failed_total"),
                ],
                "15m",
            ),
            minutes=5,
            severity="critical",
            summary="Alerts of the tenant {{ $labels.tenant }} do not reach their receiver.",
        ),
    ],
)
