"""Rules about the collectors and the rules themselves: whether what the other rules look at arrives."""

from components.collectors.rules.gateway import ANSWERS
from components.collectors.rules.rule import Alert, Group, rose_or_appeared
from components.collectors.settings import NODE
from components.core.names import COLLECTORS_NAMESPACE

DAEMON_SET = f'{{namespace="{COLLECTORS_NAMESPACE}",daemonset="{NODE}"}}'
OF_COLLECTORS = 'job="collector"'
QUEUE = f"otelcol_exporter_queue_size{{{OF_COLLECTORS}}}"
MINUTES = 15
REQUESTS_SEEN = 10  # that the gateway answered, from which on lines must have been read
# Lines that found no room are no loss: the reader tries them again without end. They count attempts.
NO_ROOM_FOR_LINES = "otelcol_exporter_enqueue_failed_log_records_total"
LOSSES = [
    "otelcol_exporter_send_failed_log_records_total",
    "otelcol_exporter_send_failed_metric_points_total",
    "otelcol_exporter_enqueue_failed_metric_points_total",
]
FULL = 0.95  # of a queue of lines: the batch that waits may have a hundred long ones


def _rose(counter: str) -> str:
    """Return the expression for collectors with a counter that rose, or one that appeared with what it counts."""
    series = f"{counter}{{{OF_COLLECTORS}}}"
    rose = rose_or_appeared(series, f"{MINUTES}m", f"{series} offset {MINUTES}m")
    return f"sum by (collector, node, exporter) ({rose})"


def _was_full() -> str:
    """Return the expression for queues of lines that were full, also while the system tenant was down.

    The queue is empty soon after an outage. What it was in between arrives then, with the time of then.
    """
    most = [
        f'max by (collector, node, exporter) (max_over_time(otelcol_exporter_queue_{what}{{{OF_COLLECTORS},exporter=~".*logs"}}[{MINUTES}m]))'
        for what in ("size", "capacity")
    ]
    return f"{' / '.join(most)} > {FULL}"


GROUP = Group(
    name="watching",
    rules=[
        Alert(
            name="Watchdog",
            expr="vector(1)",
            minutes=0,
            severity="none",
            summary="Always fires. If your receiver gets it no longer, alerts do not arrive.",
        ),
        Alert(
            name="ClusterMetricsOld",
            # A query looks five minutes back: a series is missing once its newest sample is older.
            expr=(
                "absent(k8s_node_condition_ready) or (count by (node) (k8s_node_condition_ready) unless on (node)"
                ' count by (node) (up{job="kubelet"}))'
            ),
            minutes=0,
            severity="critical",
            summary="The newest metrics of {{ with $labels.node }}the node {{ . }}{{ else }}the cluster{{ end }} are older than 5 minutes.",
        ),
        Alert(
            name="ClusterLogsOld",
            # A collector that has sent nothing since its start has no series of what it sent.
            expr=(
                f'sum by (collector, node) (otelcol_exporter_queue_size{{{OF_COLLECTORS},exporter=~".*logs"}}) > 0 unless'
                f" sum by (collector, node) (rate(otelcol_exporter_sent_log_records_total{{{OF_COLLECTORS}}}[3m])) > 0"
            ),
            minutes=2,
            severity="critical",
            summary="The collector of {{ $labels.node }} has lines that it could not send for 5 minutes.",
        ),
        Alert(
            name="ClusterLogsMissing",
            # The gateway writes a line for each request. Without the collectors of logs there is no queue of lines.
            expr=(
                f"sum(increase({ANSWERS}[10m])) > {REQUESTS_SEEN}"
                f' and on () count(otelcol_exporter_queue_capacity{{{OF_COLLECTORS},exporter=~".*logs"}})'
                f" unless on () sum(increase(otelcol_receiver_accepted_log_records_total{{{OF_COLLECTORS}}}[10m])) > 0"
            ),
            minutes=5,
            severity="critical",
            summary="The gateway answered {{ $value | humanize }} requests in 10 minutes, and no collector read a line.",
        ),
        Alert(
            name="CollectorDown",
            expr=f"k8s_daemonset_ready_nodes{DAEMON_SET} < k8s_daemonset_desired_scheduled_nodes{DAEMON_SET}",
            minutes=10,
            severity="warning",
            summary="Collectors run on {{ $value }} nodes only.",
        ),
        Alert(
            name="CollectorQueueFillingUp",
            expr=f"{QUEUE} / otelcol_exporter_queue_capacity{{{OF_COLLECTORS}}} > 0.5",
            minutes=5,
            severity="warning",
            summary="The queue {{ $labels.exporter }} of {{ $labels.node }} is {{ $value | humanizePercentage }} full.",
        ),
        Alert(
            name="CollectorLinesWait",
            expr=f"{_was_full()} or {_rose(NO_ROOM_FOR_LINES)}",
            minutes=0,
            severity="critical",
            summary="Lines of {{ $labels.node }} waited in their files in the last 15 minutes: {{ $labels.exporter }} had no room.",
        ),
        Alert(
            name="CollectorDataLost",
            expr=" or ".join(_rose(counter) for counter in LOSSES),
            minutes=0,
            severity="critical",
            summary="{{ $value }} lines or samples of {{ $labels.node }} were lost by {{ $labels.exporter }} in 15 minutes.",
        ),
    ],
)
