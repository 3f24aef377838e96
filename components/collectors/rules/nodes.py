"""Rules about nodes, by what Kubernetes and their kubelets say of them."""

from components.collectors.rules.rule import Alert, Group
from components.collectors.rules.selectors import series
from components.core.units import DAY

CERTIFICATE_DAYS = 4  # kubelets renew theirs when 10 to 30 % of its life is left: on EKS, 4.5 days of 45 at least
PRESSURES = ("memory", "disk", "pid")


def condition(name: str) -> str:
    """Return the selector of a condition of nodes."""
    return series("kubernetes", f"k8s_node_condition_{name}")


GROUP = Group(
    name="nodes",
    rules=[
        Alert(
            name="NodeNotReady",
            expr=f"{condition('ready')} < 1",
            minutes=5,
            severity="critical",
            summary="The node {{ $labels.node }} is not ready.",
        ),
        Alert(
            name="NodeUnderPressure",
            expr=" or ".join(f"{condition(f'{kind}_pressure')} == 1" for kind in PRESSURES),
            minutes=5,
            severity="warning",
            summary="The node {{ $labels.node }} is short of memory, disk or process ids, and may evict pods.",
        ),
        Alert(
            name="NodeCertificateExpires",
            expr=" or ".join(
                f"{series('kubelet', f'kubelet_certificate_manager_{use}_ttl_seconds')} < {CERTIFICATE_DAYS * DAY}"
                for use in ("client", "server")
            ),
            minutes=60,
            severity="critical",
            summary="A certificate of the kubelet of {{ $labels.node }} ends in {{ $value | humanizeDuration }}.",
        ),
    ],
)
