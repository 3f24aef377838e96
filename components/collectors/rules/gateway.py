"""Rules about the gateway, by what its pods push and what Kubernetes says of them."""

from components.collectors.rules.rule import Alert, Group, Recording
from components.core.names import GATEWAY_NAMESPACE

REQUESTS = 'job="gateway",envoy_http_conn_manager_prefix="gateway"'
"""The labels of the gateway's requests, without those of its other ports."""

ANSWERS = f"envoy_http_downstream_rq_xx_total{{{REQUESTS}}}"
GATEWAY = f'{{namespace="{GATEWAY_NAMESPACE}",deployment="gateway"}}'

GROUP = Group(
    name="gateway",
    rules=[
        Recording(
            record="gateway:answers:rate5m",
            expr=f"sum by (envoy_response_code_class) (rate({ANSWERS}[5m]))",
        ),
        Recording(
            record="gateway:errors:ratio5m",
            expr=(
                '(sum(gateway:answers:rate5m{envoy_response_code_class="5"}) or vector(0)) / sum(gateway:answers:rate5m)'
            ),
        ),
        Alert(
            name="GatewayErrors",
            # A few errors of a gateway with few requests are no share worth a call.
            expr='gateway:errors:ratio5m > 0.05 and sum(gateway:answers:rate5m{envoy_response_code_class="5"}) > 0.05',
            minutes=10,
            severity="critical",
            summary="{{ $value | humanizePercentage }} of the gateway's answers are errors of the server (5xx).",
        ),
        Alert(
            name="GatewayDown",
            expr=f"k8s_deployment_available{GATEWAY} == 0",
            minutes=1,
            severity="critical",
            summary="No pod of the gateway is ready: nobody reaches any tenant.",
        ),
        Alert(
            name="GatewayDegraded",
            expr=f"k8s_deployment_available{GATEWAY} < k8s_deployment_desired{GATEWAY}",
            minutes=15,
            severity="warning",
            summary="Only {{ $value }} pods of the gateway are ready.",
        ),
    ],
)
