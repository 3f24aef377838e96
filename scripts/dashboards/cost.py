"""The dashboard of what causes the cost of each tenant."""

from components.collectors.rules.selectors import series
from scripts.dashboards.dashboard import Dashboard, Row, choice
from scripts.dashboards.expressions import (
    BLOCK_HOURS,
    BLOCKS,
    LINES_BY_TENANT,
    SAMPLES_BY_TENANT,
    SERIES_BY_TENANT,
    TENANT_NAMESPACES,
    by_tenant,
    cpu,
    logs_stored,
    memory,
    metrics_stored,
    of_each_tenant,
)
from scripts.dashboards.panel import Query, graph, table

_METRICS_AN_HOUR = of_each_tenant(f"max by (tenant) ({BLOCKS}) / {BLOCK_HOURS}")
_VOLUMES = by_tenant(series("kubelet", "kubelet_volume_stats_capacity_bytes", TENANT_NAMESPACES))
_CPU = by_tenant(cpu(TENANT_NAMESPACES))
_MEMORY = by_tenant(memory(TENANT_NAMESPACES))

_NOW = Row(
    "Each tenant",
    (
        table(
            "Tenants",
            "What each tenant has, sends and stores. Bytes stored are estimates of what was written to the buckets in the window.",
            "tenant",
            Query(SERIES_BY_TENANT, "Series"),
            Query(SAMPLES_BY_TENANT, "Samples/s", unit="cps"),
            Query(LINES_BY_TENANT, "Lines/s", unit="cps"),
            Query(metrics_stored("$window"), "Metrics stored", unit="bytes"),
            Query(logs_stored("$window"), "Logs stored", unit="bytes"),
            Query(_VOLUMES, "Volumes", unit="bytes"),
            Query(_CPU, "CPU cores"),
            Query(_MEMORY, "Memory", unit="bytes"),
        ),
    ),
)
_OVER_TIME = Row(
    "Over time",
    (
        graph("Series", "short", "Series in memory; replicas are counted once.", Query(SERIES_BY_TENANT, "{{tenant}}")),
        graph("Lines", "cps", "Lines that Loki accepts each second.", Query(LINES_BY_TENANT, "{{tenant}}")),
        graph(
            "Metrics stored in an hour",
            "bytes",
            "Bytes of blocks that are written to the bucket, before compaction.",
            Query(_METRICS_AN_HOUR, "{{tenant}}"),
            stacked=True,
        ),
        graph(
            "Logs stored in an hour",
            "bytes",
            "Bytes of chunks that are written to the bucket, compressed, without the index.",
            Query(logs_stored("1h"), "{{tenant}}"),
            stacked=True,
        ),
        graph("CPU", "short", "Cores that the pods use.", Query(_CPU, "{{tenant}}"), stacked=True),
        graph("Memory", "bytes", "Working sets of the pods.", Query(_MEMORY, "{{tenant}}"), stacked=True),
    ),
)
COST = Dashboard(
    "cost",
    "Opstrace: cost per tenant",
    "What causes the cost of each tenant: series, lines, bytes stored, volumes, CPU and memory.",
    (_NOW, _OVER_TIME),
    (choice("window", "Stored within", ("7d", "1d", "14d", "30d")),),
    hours=24,
)
