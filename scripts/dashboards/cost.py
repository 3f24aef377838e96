"""The dashboard of what causes the cost of each tenant."""

from scripts.dashboards.dashboard import Dashboard, Row, choice
from scripts.dashboards.expressions import TENANT_NAMESPACES, by_tenant, cpu, memory, of_each_tenant, rate_by_tenant
from scripts.dashboards.panel import Query, graph, table

# On its volume, Cortex keeps the blocks of the last six hours. So each hour, a sixth of them is written.
_BLOCKS = "cortex_ingester_tsdb_storage_blocks_bytes"
_BLOCK_HOURS = 6
_CHUNKS = "loki_ingester_chunk_stored_bytes_total"

_SERIES = of_each_tenant("max by (tenant) (cortex_ingester_memory_series)")
_SAMPLES = of_each_tenant(rate_by_tenant("cortex_distributor_received_samples_total"))
_LINES = of_each_tenant(rate_by_tenant("loki_distributor_lines_received_total"))
_METRICS_STORED = of_each_tenant(f"max by (tenant) (sum_over_time({_BLOCKS}[$window:1h])) / {_BLOCK_HOURS}")
_METRICS_AN_HOUR = of_each_tenant(f"max by (tenant) ({_BLOCKS}) / {_BLOCK_HOURS}")
_LOGS_STORED = of_each_tenant(f"sum by (tenant) (increase({_CHUNKS}[$window]))")
_LOGS_AN_HOUR = of_each_tenant(f"sum by (tenant) (increase({_CHUNKS}[1h]))")
_VOLUMES = by_tenant(f"kubelet_volume_stats_capacity_bytes{{{TENANT_NAMESPACES}}}")
_CPU = by_tenant(cpu(TENANT_NAMESPACES))
_MEMORY = by_tenant(memory(TENANT_NAMESPACES))

_NOW = Row(
    "Each tenant",
    (
        table(
            "Tenants",
            "What each tenant has, sends and stores. Bytes stored are estimates of what was written to the buckets in the window.",
            "tenant",
            Query(_SERIES, "Series"),
            Query(_SAMPLES, "Samples/s", unit="cps"),
            Query(_LINES, "Lines/s", unit="cps"),
            Query(_METRICS_STORED, "Metrics stored", unit="bytes"),
            Query(_LOGS_STORED, "Logs stored", unit="bytes"),
            Query(_VOLUMES, "Volumes", unit="bytes"),
            Query(_CPU, "CPU cores"),
            Query(_MEMORY, "Memory", unit="bytes"),
        ),
    ),
)
_OVER_TIME = Row(
    "Over time",
    (
        graph("Series", "short", "Series in memory; replicas are counted once.", Query(_SERIES, "{{tenant}}")),
        graph("Lines", "cps", "Lines that Loki accepts each second.", Query(_LINES, "{{tenant}}")),
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
            Query(_LOGS_AN_HOUR, "{{tenant}}"),
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
