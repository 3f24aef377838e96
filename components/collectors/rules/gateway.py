"""Rules about the gateway, by what its pods push and what Kubernetes says of them."""

from components.collectors.rules.rule import Alert, Group, Recording
from components.collectors.rules.selectors import recorded, series
from components.core.names import GATEWAY_NAMESPACE

REQUESTS = 'job="gateway",envoy_http_conn_manager_prefix="gateway"'
"""The labels of the gateway's requests, without those of its other ports."""

ANSWERS = f"envoy_http_downstream_rq_xx_total{{{REQUESTS}}}"
AVAILABLE, DESIRED = (
    series("kubernetes", f"k8s_deployment_{state}", f'namespace="{GATEWAY_NAMESPACE}"', 'deployment="gateway"')
    for state in ("available", "desired")
)
SERVER_ERRORS = 'envoy_response_code_class="5"'
RATE_OF_ANSWERS, SHARE_OF_ERRORS = "gateway:answers:rate5m", "gateway:errors:ratio5m"
ALL = f"sum({recorded(RATE_OF_ANSWERS)})"
ERRORS = f"sum({recorded(RATE_OF_ANSWERS, SERVER_ERRORS)})"

GROUP = Group(
    name="gateway",
    rules=[
        Recording(
            record=RATE_OF_ANSWERS,
            expr=f"sum by (envoy_response_code_class) (rate({ANSWERS}[5m]))",
        ),
        Recording(record=SHARE_OF_ERRORS, expr=f"({ERRORS} or vector(0)) / {ALL}"),
        Alert(
            name="GatewayErrors",
            # A few errors of a gateway with few requests are no share worth a call.
            expr=f"{recorded(SHARE_OF_ERRORS)} > 0.05 and {ERRORS} > 0.05",
            minutes=10,
            severity="critical",
            summary="{{ $value | humanizePercentage }} of the gateway's answers are errors of the server (5xx).",
        ),
        Alert(
            name="GatewayDown",
            expr=f"{AVAILABLE} == 0",
            minutes=1,
            severity="critical",
            summary="No pod of the gateway is ready: nobody reaches any tenant.",
        ),
        Alert(
            name="GatewayDegraded",
            expr=f"{AVAILABLE} < {DESIRED}",
            minutes=15,
            severity="warning",
            summary="Only {{ $value }} pods of the gateway are ready.",
        ),
    ],
)
