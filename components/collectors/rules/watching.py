"""Rules about the collectors and the rules themselves: whether what the other rules look at arrives.

A queue hands out first what it took first. So its oldest lines are older than a time if it has more bytes than it took within this
time. This holds after restarts too, because a collector finds its queue again.
"""

from components.collectors.export import LOGS, METRICS
from components.collectors.rules.gateway import ANSWERS
from components.collectors.rules.nodes import condition
from components.collectors.rules.rule import Alert, Group, rose_or_appeared
from components.collectors.rules.selectors import series
from components.collectors.settings import NODE
from components.core.names import COLLECTORS_NAMESPACE
from components.core.units import MINUTE

READY, DESIRED = (
    series("kubernetes", f"k8s_daemonset_{state}_nodes", f'namespace="{COLLECTORS_NAMESPACE}"', f'daemonset="{NODE}"')
    for state in ("ready", "desired_scheduled")
)
OF_LINES = 'exporter=~".*logs"'
MINUTES = 15
OLD = 5 * MINUTE  # lines in a queue
REQUESTS_SEEN = 10  # that the gateway answered, from which on lines must have been read
# Lines that found no room are no loss: the reader tries them again without end. They count attempts.
NO_ROOM_FOR_LINES = "otelcol_exporter_enqueue_failed_log_records_total"
LOSSES = [
    "otelcol_exporter_send_failed_log_records_total",
    "otelcol_exporter_send_failed_metric_points_total",
    "otelcol_exporter_enqueue_failed_metric_points_total",
]
# Of each exporter: what its metrics count, and the fewest bytes of one in a queue: two times and a stream, or a time and a value.
SIGNALS = {LOGS: ("log_records", 40), METRICS: ("metric_points", 18)}
LATELY = 12  # times the seconds of a look: an hour
FULL = 0.95  # of a queue of lines: the batch that waits may have a hundred long ones


def _own(metric: str, *matchers: str) -> str:
    """Return the selector of a metric that collectors have of themselves."""
    return series("collector", metric, *matchers)


def _total(metric: str, *matchers: str) -> str:
    """Return the expression for the sum of a metric that each collector has of itself."""
    return f"sum by (collector, node) ({_own(metric, *matchers)})"


def _rose(counter: str) -> str:
    """Return the expression for collectors with a counter that rose, or one that appeared with what it counts."""
    counted = _own(counter)
    rose = rose_or_appeared(counted, f"{MINUTES}m", f"{counted} offset {MINUTES}m")
    return f"sum by (collector, node, exporter) ({rose})"


def _was_full() -> str:
    """Return the expression for queues of lines that were full, also while the system tenant was down.

    The queue is empty soon after an outage. What it was in between arrives then, with the time of then.
    """
    most = [
        f"max by (collector, node, exporter) (max_over_time({_own(f'otelcol_exporter_queue_{what}', OF_LINES)}[{MINUTES}m]))"
        for what in ("size", "capacity")
    ]
    return f"{' / '.join(most)} > {FULL}"


def _has_old(seconds: int) -> str:
    """Return the expression for collectors whose queue has lines that it took longer ago than these seconds.

    A new pod has no value of that time, so all that it counted is newer. The queue size of the pod before it is seen for five
    minutes more: the minimum leaves it out. What a full disk refuses counts as taken, but `CollectorLinesWait` fires then.
    """
    took = _own("otelcol_exporter_queue_batch_send_size_bytes_total", OF_LINES)
    lately = f"({took} unless {took} offset {seconds}s) or increase({took}[{seconds}s])"
    has = f"min by (collector, node) ({_own('otelcol_exporter_queue_size', OF_LINES)})"
    return f"{has} > sum by (collector, node) ({lately})"


def _lost(seconds: int) -> str:
    """Return the expression for how many lines or samples a queue has lost lately, at least.

    A queue drops what it cannot note as handed out, for example on a full disk, and counts nothing (Collector 0.149,
    persistent_queue.go). But a collector has taken it, and neither sent nor refused it, nor is it in the queue. After a start,
    the queue has what the process before took, so only the growth of this number counts, and only in one process.
    """
    found = [_growth(exporter, counted, least, seconds) for exporter, (counted, least) in SIGNALS.items()]
    uptime = f"min by (collector, node) ({_own('otelcol_process_uptime_seconds_total')})"
    return f"({' or '.join(found)}) > 0 and on (collector, node) {uptime} > {LATELY * seconds}"


def _growth(exporter: str, counted: str, least: int, seconds: int) -> str:
    """Return the expression for by how much what an exporter neither sent nor refused has grown, without what waits at most.

    Counters are read one after the other, so the median of several looks counts.
    """
    taken = _total(f"otelcol_receiver_accepted_{counted}_total")
    gone = [f"({_total(f'otelcol_exporter_{how}_{counted}_total')} or 0 * {taken})" for how in ("sent", "send_failed")]
    kept = " - ".join([taken, *gone])
    size = _total("otelcol_exporter_queue_size", f'exporter="{exporter}"')
    step = max(1, seconds // 10)
    now = f"quantile_over_time(0.5, ({kept} - {size} / {least})[{seconds}s:{step}s])"
    earlier = f"min_over_time(({kept})[{LATELY * seconds}s:{step}s])"
    return f'label_replace({now} - {earlier}, "exporter", "{exporter}", "", "")'


def _queue_lost(seconds: int) -> Alert:
    """Return the alert about what a queue has lost, as looks within these seconds show."""
    return Alert(
        name="CollectorQueueLost",
        expr=_lost(seconds),
        minutes=0,
        severity="critical",
        summary=(
            "The queue {{ $labels.exporter }} of {{ $labels.collector }} on {{ $labels.node }}"
            " lost at least {{ $value | humanize }} lines or samples in an hour."
        ),
    )


def _logs_old(seconds: int) -> Alert:
    """Return the alert about lines that a collector read, but has not sent for these seconds."""
    sends_nothing = (
        f"{_total('otelcol_exporter_queue_size', OF_LINES)} > 0 unless"
        # A collector that has sent nothing since its start has no series of what it sent.
        f" sum by (collector, node) (rate({_own('otelcol_exporter_sent_log_records_total')}[3m])) > 0"
    )
    return Alert(
        name="ClusterLogsOld",
        expr=f"({sends_nothing}) or ({_has_old(seconds)})",
        minutes=2,
        severity="critical",
        summary="The collector of {{ $labels.node }} has lines that it could not send for 5 minutes.",
    )


WATCHDOG = Alert(
    name="Watchdog",
    expr="vector(1)",
    minutes=0,
    severity="none",
    summary="Always fires. If your receiver gets it no longer, alerts do not arrive.",
)
METRICS_OLD = Alert(
    name="ClusterMetricsOld",
    # A query looks five minutes back: a series is missing once its newest sample is older.
    expr=(
        f"absent({condition('ready')}) or (count by (node) ({condition('ready')}) unless on (node)"
        f" count by (node) ({series('kubelet', 'up')}))"
    ),
    minutes=0,
    severity="critical",
    summary="The newest metrics of {{ with $labels.node }}the node {{ . }}{{ else }}the cluster{{ end }} are older than 5 minutes.",
)
OF_COLLECTORS = (
    Alert(
        name="ClusterLogsMissing",
        # The gateway writes a line for each request. Without the collectors of logs there is no queue of lines.
        expr=(
            f"sum(increase({ANSWERS}[10m])) > {REQUESTS_SEEN}"
            f" and on () count({_own('otelcol_exporter_queue_capacity', OF_LINES)})"
            f" unless on () sum(increase({_own('otelcol_receiver_accepted_log_records_total')}[10m])) > 0"
        ),
        minutes=5,
        severity="critical",
        summary="The gateway answered {{ $value | humanize }} requests in 10 minutes, and no collector read a line.",
    ),
    Alert(
        name="CollectorDown",
        expr=f"{READY} < {DESIRED}",
        minutes=10,
        severity="warning",
        summary="Collectors run on {{ $value }} nodes only.",
    ),
    Alert(
        name="CollectorQueueFillingUp",
        expr=f"{_own('otelcol_exporter_queue_size')} / {_own('otelcol_exporter_queue_capacity')} > 0.5",
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
)


def group(old: int = OLD) -> Group:
    """Return the rules; lines in a queue are old, and what is missing is lost, after these seconds."""
    return Group(name="watching", rules=[WATCHDOG, METRICS_OLD, _logs_old(old), *OF_COLLECTORS, _queue_lost(old)])
