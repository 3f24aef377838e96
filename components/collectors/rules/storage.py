"""Rules about what tenants store: volumes, uploads to buckets, compaction and retention.

A compactor writes the time of its last success. Before the first, it writes 0 or nothing, and the time counts from the start
of the process.
Intervals: Cortex compacts each hour and deletes blocks each 30 minutes, Loki does both each hour
(components/tenant/back_ends/cortex.py, loki.py). An alert waits for some of them.
"""

from typing import Literal

from components.collectors.rules.rule import Alert, Group
from components.collectors.rules.tenants import OF_TENANTS
from components.core.units import HOUR

HOURS = 3


def _volume_used(name: str, share: float, minutes: int, severity: Literal["critical", "warning"]) -> Alert:
    """Return the alert about volumes that are used beyond a share."""
    labels = f"{{{OF_TENANTS}}}"
    available = f"kubelet_volume_stats_available_bytes{labels} / kubelet_volume_stats_capacity_bytes{labels}"
    return Alert(
        name=name,
        expr=f"1 - max by (namespace, persistentvolumeclaim) ({available}) > {share}",
        minutes=minutes,
        severity=severity,
        summary="{{ $labels.persistentvolumeclaim }} in {{ $labels.namespace }} is {{ $value | humanizePercentage }} full.",
    )


def _stands_still(name: str, last_success: str, what: str) -> Alert:
    """Return the alert about tenants without a success for some hours. Of several pods, one that works is enough.

    Args:
        name: The alert's name.
        last_success: The metric with the time of the last success. Its name begins with that of the job.
        what: What was done then, such as `Old lines of the tenant %s were last deleted`.
    """
    job = last_success.partition("_")[0]
    started = f'max by (tenant) (process_start_time_seconds{{job="{job}"}})'
    return Alert(
        name=name,
        expr=f"time() - (max by (tenant) ({last_success} > 0) or {started}) > {HOURS * HOUR}",
        minutes=15,
        severity="warning",
        summary=f"{what % '{{ $labels.tenant }}'} {{{{ $value | humanizeDuration }}}} ago.",
    )


GROUP = Group(
    name="storage",
    rules=[
        _volume_used("VolumeFillingUp", 0.85, 15, "warning"),
        _volume_used("VolumeFull", 0.95, 2, "critical"),
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
        _stands_still(
            "MetricsCompactionFailing",
            "cortex_compactor_last_successful_run_timestamp_seconds",
            "Blocks of the tenant %s were last compacted",
        ),
        _stands_still(
            "MetricsRetentionFailing",
            "cortex_compactor_block_cleanup_last_successful_run_timestamp_seconds",
            "Old blocks of the tenant %s were last deleted",
        ),
        _stands_still(
            "LogsCompactionFailing",
            "loki_boltdb_shipper_compact_tables_operation_last_successful_run_timestamp_seconds",
            "The index of the tenant %s was last compacted",
        ),
        _stands_still(
            "LogsRetentionFailing",
            "loki_compactor_apply_retention_last_successful_run_timestamp_seconds",
            "Old lines of the tenant %s were last deleted",
        ),
    ],
)
