"""Cases of the alerts about the collectors and the rules themselves, for `promtool test rules`."""

from collections.abc import Mapping

from tests.support.alert_cases import ANSWERS, KUBELET, NODE, Case

DAEMON_SET = 'job="kubernetes",namespace="opstrace-collectors",daemonset="node-collector"'
LOGS, METRICS = "otlp_http/logs", "otlp_http/metrics"
NODE_COLLECTOR = 'job="collector",collector="node-collector",node="n1"'


def of_exporter(exporter: str) -> str:
    """Return the labels of a metric of a collector's exporter."""
    return f'{NODE_COLLECTOR},exporter="{exporter}"'


QUEUE = of_exporter(LOGS)
QUEUE_LABELS = {"collector": "node-collector", "node": "n1", "exporter": LOGS}  # of alerts
SIZE, CAPACITY = "otelcol_exporter_queue_size", "otelcol_exporter_queue_capacity"
SENT = "otelcol_exporter_sent_log_records_total"
TOOK = "otelcol_exporter_queue_batch_send_size_bytes_total"


def queue(size: str, took: str, sent: str, pod: str = "a") -> dict[str, str]:
    """Return the series of a queue of lines: its bytes, all bytes that it took, and the lines that were sent."""
    labels = f'{QUEUE},instance="{pod}"'
    return {f"{name}{{{labels}}}": values for name, values in ((SIZE, size), (TOOK, took), (SENT, sent))}


def old_lines(fault: Mapping[str, str], healthy: Mapping[str, str]) -> Case:
    """Return a case of lines that wait for more than five minutes in the 14th minute."""
    return Case(
        alert="ClusterLogsOld",
        fault=fault,
        healthy=healthy,
        minute=14,
        labels={"collector": "node-collector", "node": "n1"},
        summary="The collector of n1 has lines that it could not send for 5 minutes.",
    )


def lost(counter: str, values: str) -> Case:
    """Return a case of 7 lines or samples that were lost, by a counter with these values."""
    exporter = LOGS if "log_records" in counter else METRICS
    series = f"{counter}{{{of_exporter(exporter)}}}"
    return Case(
        alert="CollectorDataLost",
        fault={series: values},
        healthy={series: "7x40"},
        minute=20,
        labels=QUEUE_LABELS | {"exporter": exporter},
        summary=f"7 lines or samples of n1 were lost by {exporter} in 15 minutes.",
    )


def vanished(counted: str, exporter: str, healthy: Mapping[str, str]) -> Case:
    """Return a case of 7 lines or samples that a queue lost in the minute 70. Without a fault, the series are as `healthy` says."""
    names = {
        "taken": f"otelcol_receiver_accepted_{counted}_total{{{NODE_COLLECTOR}}}",
        "sent": f"otelcol_exporter_sent_{counted}_total{{{of_exporter(exporter)}}}",
        "refused": f"otelcol_exporter_send_failed_{counted}_total{{{of_exporter(exporter)}}}",
        "size": f"{SIZE}{{{of_exporter(exporter)}}}",
        "uptime": f"otelcol_process_uptime_seconds_total{{{NODE_COLLECTOR}}}",
    }
    usual = {"taken": "100+5x100", "sent": "100+5x69 443+5x30", "size": "0x100", "uptime": "7200+60x100"}
    fault, without = (
        {names[part]: values for part, values in {**usual, **changes}.items()} for changes in ({}, healthy)
    )
    return Case(
        alert="CollectorQueueLost",
        fault=fault,
        healthy=without,
        minute=80,
        labels=QUEUE_LABELS | {"exporter": exporter},
        summary=f"The queue {exporter} of node-collector on n1 lost at least 7 lines or samples in an hour.",
    )


CASES = [
    Case(
        alert="Watchdog",
        fault={},
        healthy={},
        minute=1,
        labels={},
        summary="Always fires. If your receiver gets it no longer, alerts do not arrive.",
    ),
    Case(
        alert="ClusterMetricsOld",
        fault={f"k8s_node_condition_ready{{{NODE}}}": "1x20", f"up{{{KUBELET}}}": "1x10"},
        healthy={f"k8s_node_condition_ready{{{NODE}}}": "1x20", f"up{{{KUBELET}}}": "1x11"},
        minute=16,
        labels={"node": "n1"},
        summary="The newest metrics of the node n1 are older than 5 minutes.",
    ),
    old_lines(
        fault={f"{SIZE}{{{QUEUE}}}": "5x20", f"{SENT}{{{QUEUE}}}": "9x20"},
        healthy={f"{SIZE}{{{QUEUE}}}": "5x20", f"{SENT}{{{QUEUE}}}": "0+1x20"},
    ),
    # A collector that has sent nothing since its start.
    old_lines(fault={f"{SIZE}{{{QUEUE}}}": "5x20"}, healthy={f"{SIZE}{{{QUEUE}}}": "0x20"}),
    # Lines are sent, but too slowly after an outage of 8 minutes. Without a fault, an outage has lasted for 4 minutes.
    old_lines(
        fault=queue("0x1 0+100x8 780-20x10", "0+100x21", "0x10 1+120x10"),
        healthy=queue("0x9 0+100x4 0x7", "0+100x21", "0+100x10 1000x3 1400+100x6"),
    ),
    # Lines always wait for 6 minutes, and without a fault for 4.
    old_lines(fault=queue("600x20", "0+100x20", "0+1x20"), healthy=queue("400x20", "0+100x20", "0+1x20")),
    # The collector restarted, and its counters began again.
    old_lines(
        fault=queue("1000x20", "0+100x10 0+100x9", "0+1x10 0+1x9"),
        healthy=queue("90x20", "0+100x10 0+100x9", "0+1x10 0+1x9"),
    ),
    # Its pod was replaced. Without a fault, the new one sent what waited.
    old_lines(
        fault=queue("1000x10", "0+100x10", "0+1x10", "a") | queue("_x11 1000x9", "_x11 100+100x9", "_x11 0+1x9", "b"),
        healthy=queue("800x10", "0+100x10", "0+1x10", "a") | queue("_x11 50x9", "_x11 100+100x9", "_x11 0+1x9", "b"),
    ),
    # A collector sends slowly since its start. Without a fault, the first one of a node reads many old lines at once.
    old_lines(
        fault=queue("_x5 1000x15", "_x5 0+100x15", "_x5 0+1x15"),
        healthy=queue("_x11 800x9", "_x11 900+100x9", "_x11 0+1x9"),
    ),
    Case(
        alert="ClusterLogsMissing",
        fault={
            ANSWERS % "2": "0+60x40",
            f"{CAPACITY}{{{QUEUE}}}": "100x40",
            f"otelcol_receiver_accepted_log_records_total{{{QUEUE}}}": "0+60x5 300x35",
        },
        healthy={
            ANSWERS % "2": "0+60x40",
            f"{CAPACITY}{{{QUEUE}}}": "100x40",
            f"otelcol_receiver_accepted_log_records_total{{{QUEUE}}}": "0+60x40",
        },
        minute=25,
        labels={},
        summary="The gateway answered 600 requests in 10 minutes, and no collector read a line.",
    ),
    Case(  # without logs, nothing is missing
        alert="ClusterLogsMissing",
        fault={ANSWERS % "2": "0+60x40", f"{CAPACITY}{{{QUEUE}}}": "100x40"},
        healthy={ANSWERS % "2": "0+60x40"},
        minute=25,
        labels={},
        summary="The gateway answered 600 requests in 10 minutes, and no collector read a line.",
    ),
    Case(
        alert="CollectorDown",
        fault={
            f"k8s_daemonset_ready_nodes{{{DAEMON_SET}}}": "1x20",
            f"k8s_daemonset_desired_scheduled_nodes{{{DAEMON_SET}}}": "2x20",
        },
        healthy={
            f"k8s_daemonset_ready_nodes{{{DAEMON_SET}}}": "2x20",
            f"k8s_daemonset_desired_scheduled_nodes{{{DAEMON_SET}}}": "2x20",
        },
        minute=15,
        labels={"job": "kubernetes", "namespace": "opstrace-collectors", "daemonset": "node-collector"},
        summary="Collectors run on 1 nodes only.",
    ),
    Case(
        alert="CollectorQueueFillingUp",
        fault={
            f"{SIZE}{{{QUEUE}}}": "60x20",
            f"{CAPACITY}{{{QUEUE}}}": "100x20",
        },
        healthy={
            f"{SIZE}{{{QUEUE}}}": "40x20",
            f"{CAPACITY}{{{QUEUE}}}": "100x20",
        },
        minute=10,
        labels={"job": "collector"} | QUEUE_LABELS,
        summary="The queue otlp_http/logs of n1 is 60% full.",
    ),
    Case(
        alert="CollectorLinesWait",  # the outage is over, and the queue empty
        fault={
            f"{SIZE}{{{QUEUE}}}": "96x10 0x9",
            f"{CAPACITY}{{{QUEUE}}}": "100x20",
        },
        healthy={
            f"{SIZE}{{{QUEUE}}}": "94x10 0x9",
            f"{CAPACITY}{{{QUEUE}}}": "100x20",
        },
        minute=20,
        labels=QUEUE_LABELS,
        summary="Lines of n1 waited in their files in the last 15 minutes: otlp_http/logs had no room.",
    ),
    *(
        Case(  # the disk of the queue was full
            alert="CollectorLinesWait",
            fault={f"otelcol_exporter_enqueue_failed_log_records_total{{{QUEUE}}}": values},
            healthy={f"otelcol_exporter_enqueue_failed_log_records_total{{{QUEUE}}}": "100x40"},
            minute=20,
            labels=QUEUE_LABELS,
            summary="Lines of n1 waited in their files in the last 15 minutes: otlp_http/logs had no room.",
        )
        for values in ("_x10 100x20", "0x10 100x20")
    ),
    *(
        lost(f"otelcol_exporter_{counter}_total", values)
        for counter in ("send_failed_log_records", "send_failed_metric_points", "enqueue_failed_metric_points")
        for values in ("_x10 7x20", "0x10 7x20")
    ),
    *(
        vanished(counted, exporter, healthy)
        for counted, exporter, least in (("log_records", LOGS, 40), ("metric_points", METRICS, 18))
        for healthy in (
            {"size": f"0x69 {7 * least}x30"},  # they wait
            {"refused": "_x70 7x30"},
            {"sent": "100+5x5 123+5x95"},  # they were lost more than an hour before
            {"sent": "100+5x78 483x1 500+5x20"},  # counters were read at different moments
            # It has sent what the process before took, and restarts.
            {"taken": "100x69 0+5x30", "sent": "600x69 0+5x30", "uptime": "7200+60x69 0+60x30"},
        )
    ),
]
