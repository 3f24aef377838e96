"""Rules about what tenants store: volumes, uploads to buckets, compaction and retention.

A compactor writes the time of its last success. Before the first, it writes 0 or nothing, and the time counts from the start
of the process.
Intervals: Cortex compacts each hour and deletes blocks each 30 minutes, Loki does both each hour
(components/tenant/back_ends/cortex.py, loki.py). An alert waits for some of them.
"""

from components.collectors.rules.rule import Alert, Group
from components.collectors.rules.tenants import OF_TENANTS

HOURS = 3
FULL, NEARLY_FULL = 0.95, 0.85


def _used(share: float) -> str:
    """Return the expression for volumes that are used beyond a share."""
    labels = f"{{{OF_TENANTS}}}"
    available = f"kubelet_volume_stats_available_bytes{labels} / kubelet_volume_stats_capacity_bytes{labels}"
    return f"1 - max by (namespace, persistentvolumeclaim) ({available}) > {share}"


def _stands_still(last_success: str, job: str) -> str:
    """Return the expression for tenants without a success for some hours. Of several pods, one that works is enough."""
    started = f'max by (tenant) (process_start_time_seconds{{job="{job}"}})'
    return f"time() - (max by (tenant) ({last_success} > 0) or {started}) > {HOURS * 3600}"


GROUP = Group(
    name="storage",
    rules=[
        Alert(
            name="VolumeFillingUp",
            expr=_used(NEARLY_FULL),
            minutes=15,
            severity="warning",
            summary="{{ $labels.persistentvolumeclaim }} in {{ $labels.namespace }} is {{ $value | humanizePercentage }} full.",
        ),
        Alert(
            name="VolumeFull",
            expr=_used(FULL),
            minutes=2,
            severity="critical",
            summary="{{ $labels.persistentvolumeclaim }} in {{ $labels.namespace }} is {{ $value | humanizePercentage }} full.",
        ),
        Alert(
            name="UploadsFailing",
            expr=(
                "sum by (tenant) (increase(cortex_ingester_shipper_upload_failures_total[1h])) > 3"
                " or sum by (tenant) (increase(loki_ingester_chunks_flush_failures_total[1h])) > 3"
            ),
            minutes=15,
            severity="critical",
            summary="Data of the tenant {{ $labels.tenant }} does not get into its bucket.",
        ),
        Alert(
            name="MetricsCompactionFailing",
            expr=_stands_still("cortex_compactor_last_successful_run_timestamp_seconds", "cortex"),
            minutes=15,
            severity="warning",
            summary="Blocks of the tenant {{ $labels.tenant }} were last compacted {{ $value | humanizeDuration }} ago.",
        ),
        Alert(
            name="MetricsRetentionFailing",
            expr=_stands_still("cortex_compactor_block_cleanup_last_successful_run_timestamp_seconds", "cortex"),
            minutes=15,
            severity="warning",
            summary="Old blocks of the tenant {{ $labels.tenant }} were last deleted {{ $value | humanizeDuration }} ago.",
        ),
        Alert(
            name="LogsCompactionFailing",
            expr=_stands_still(
                "loki_boltdb_shipper_compact_tables_operation_last_successful_run_timestamp_seconds", "loki"
            ),
            minutes=15,
            severity="warning",
            summary="The index of the tenant {{ $labels.tenant }} was last compacted {{ $value | humanizeDuration }} ago.",
        ),
        Alert(
            name="LogsRetentionFailing",
            expr=_stands_still("loki_compactor_apply_retention_last_successful_run_timestamp_seconds", "loki"),
            minutes=15,
            severity="warning",
            summary="Old lines of the tenant {{ $labels.tenant }} were last deleted {{ $value | humanizeDuration }} ago.",
        ),
    ],
)
