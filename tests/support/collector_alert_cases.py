"""Cases of the alerts about the collectors and the rules themselves, for `promtool test rules`."""

from collections.abc import Mapping

from tests.support.alert_cases import ANSWERS, KUBELET, NODE, Case

DAEMON_SET = 'job="kubernetes",namespace="opstrace-collectors",daemonset="node-collector"'
QUEUE = 'job="collector",collector="node-collector",node="n1",exporter="otlp_http/logs"'
SIZE, SENT = "otelcol_exporter_queue_size", "otelcol_exporter_sent_log_records_total"


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
    exporter = "otlp_http/logs" if "log_records" in counter else "otlp_http/metrics"
    labels = f'job="collector",collector="node-collector",node="n1",exporter="{exporter}"'
    return Case(
        alert="CollectorDataLost",
        fault={f"{counter}{{{labels}}}": values},
        healthy={f"{counter}{{{labels}}}": "7x40"},
        minute=20,
        labels={"collector": "node-collector", "node": "n1", "exporter": exporter},
        summary=f"7 lines or samples of n1 were lost by {exporter} in 15 minutes.",
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
    Case(
        alert="ClusterLogsMissing",
        fault={
            ANSWERS % "2": "0+60x40",
            f"otelcol_exporter_queue_capacity{{{QUEUE}}}": "100x40",
            f"otelcol_receiver_accepted_log_records_total{{{QUEUE}}}": "0+60x5 300x35",
        },
        healthy={
            ANSWERS % "2": "0+60x40",
            f"otelcol_exporter_queue_capacity{{{QUEUE}}}": "100x40",
            f"otelcol_receiver_accepted_log_records_total{{{QUEUE}}}": "0+60x40",
        },
        minute=25,
        labels={},
        summary="The gateway answered 600 requests in 10 minutes, and no collector read a line.",
    ),
    Case(  # without logs, nothing is missing
        alert="ClusterLogsMissing",
        fault={ANSWERS % "2": "0+60x40", f"otelcol_exporter_queue_capacity{{{QUEUE}}}": "100x40"},
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
            f"otelcol_exporter_queue_size{{{QUEUE}}}": "60x20",
            f"otelcol_exporter_queue_capacity{{{QUEUE}}}": "100x20",
        },
        healthy={
            f"otelcol_exporter_queue_size{{{QUEUE}}}": "40x20",
            f"otelcol_exporter_queue_capacity{{{QUEUE}}}": "100x20",
        },
        minute=10,
        labels={"job": "collector", "collector": "node-collector", "node": "n1", "exporter": "otlp_http/logs"},
        summary="The queue otlp_http/logs of n1 is 60% full.",
    ),
    Case(
        alert="CollectorLinesWait",  # the outage is over, and the queue empty
        fault={
            f"otelcol_exporter_queue_size{{{QUEUE}}}": "96x10 0x9",
            f"otelcol_exporter_queue_capacity{{{QUEUE}}}": "100x20",
        },
        healthy={
            f"otelcol_exporter_queue_size{{{QUEUE}}}": "94x10 0x9",
            f"otelcol_exporter_queue_capacity{{{QUEUE}}}": "100x20",
        },
        minute=20,
        labels={"collector": "node-collector", "node": "n1", "exporter": "otlp_http/logs"},
        summary="Lines of n1 waited in their files in the last 15 minutes: otlp_http/logs had no room.",
    ),
    *(
        Case(  # the disk of the queue was full
            alert="CollectorLinesWait",
            fault={f"otelcol_exporter_enqueue_failed_log_records_total{{{QUEUE}}}": values},
            healthy={f"otelcol_exporter_enqueue_failed_log_records_total{{{QUEUE}}}": "100x40"},
            minute=20,
            labels={"collector": "node-collector", "node": "n1", "exporter": "otlp_http/logs"},
            summary="Lines of n1 waited in their files in the last 15 minutes: otlp_http/logs had no room.",
        )
        for values in ("_x10 100x20", "0x10 100x20")
    ),
    *(
        lost(f"otelcol_exporter_{counter}_total", values)
        for counter in ("send_failed_log_records", "send_failed_metric_points", "enqueue_failed_metric_points")
        for values in ("_x10 7x20", "0x10 7x20")
    ),
]
