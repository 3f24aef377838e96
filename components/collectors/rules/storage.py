"""Rules about what tenants store: volumes, uploads to buckets, compaction and retention.

A compactor writes the time of its last success. Before the first, it writes 0 or nothing, and the time counts from the start
of the process.
Cortex's run that deletes old blocks, and Loki's, succeed although the bucket refuses to delete: counters tell this.
Intervals: Cortex compacts each hour and deletes blocks each 30 minutes, Loki does both each hour
(components/tenant/back_ends/cortex.py, loki.py). An alert waits for some of them.
"""

from typing import Literal

from components.collectors.rules.rule import Alert, Group, rise
from components.collectors.rules.selectors import of_back_end, series
from components.collectors.rules.tenants import OF_TENANTS
from components.core.units import HOUR

STANDS_STILL = 3 * HOUR
# Blocks of Cortex, and chunks of Loki. Cortex looks into the bucket before it uploads. If that fails, no upload has failed.
FAILED_UPLOADS = (
    of_back_end("cortex_ingester_shipper_upload_failures_total"),
    of_back_end("cortex_ingester_shipper_dir_sync_failures_total"),
    of_back_end("loki_ingester_chunks_flush_failures_total"),
)
FAILED_DELETIONS = (
    of_back_end("cortex_compactor_block_cleanup_failures_total"),
    of_back_end("loki_boltdb_shipper_retention_sweeper_chunk_deleted_duration_seconds_count", 'status="failure"'),
)


def free_share(*matchers: str) -> str:
    """Return the expression for the free share of volumes."""
    available, capacity = (
        series("kubelet", f"kubelet_volume_stats_{what}_bytes", *matchers) for what in ("available", "capacity")
    )
    return f"{available} / {capacity}"


def _volume_used(name: str, share: float, minutes: int, severity: Literal["critical", "warning"]) -> Alert:
    """Return the alert about volumes that are used beyond a share."""
    return Alert(
        name=name,
        expr=f"1 - max by (namespace, persistentvolumeclaim) ({free_share(OF_TENANTS)}) > {share}",
        minutes=minutes,
        severity=severity,
        summary="{{ $labels.persistentvolumeclaim }} in {{ $labels.namespace }} is {{ $value | humanizePercentage }} full.",
    )


def _stands_still(name: str, metric: str, what: str, seconds: int, *matchers: str) -> Alert:
    """Return the alert about tenants without a success for some time. Of several pods, one that works is enough.

    Args:
        name: The alert's name.
        metric: The metric with the time of the last success. Its name begins with that of the job.
        what: What was done then, such as `Old lines of the tenant %s were last deleted`.
        seconds: The time.
        matchers: Further matchers of the metric.
    """
    last_success = of_back_end(metric, *matchers)
    started = f"max by (tenant) ({series(metric.partition('_')[0], 'process_start_time_seconds')})"
    return Alert(
        name=name,
        expr=f"time() - (max by (tenant) ({last_success} > 0) or {started}) > {seconds}",
        minutes=15,
        severity="warning",
        summary=f"{what % '{{ $labels.tenant }}'} {{{{ $value | humanizeDuration }}}} ago.",
    )


def _compactors(seconds: int) -> list[Alert]:
    """Return the alerts about compactors without a success for these seconds."""
    return [
        _stands_still(
            "MetricsCompactionFailing",
            "cortex_compactor_last_successful_run_timestamp_seconds",
            "Blocks of the tenant %s were last compacted",
            seconds,
        ),
        _stands_still(
            "MetricsRetentionFailing",
            "cortex_compactor_block_cleanup_last_successful_run_timestamp_seconds",
            "Old blocks of the tenant %s were last deleted",
            seconds,
            # The run for deleted tenants, of which there are none, always succeeds.
            'user_status="active"',
        ),
        _stands_still(
            "LogsCompactionFailing",
            "loki_boltdb_shipper_compact_tables_operation_last_successful_run_timestamp_seconds",
            "The index of the tenant %s was last compacted",
            seconds,
        ),
        _stands_still(
            "LogsRetentionFailing",
            "loki_compactor_apply_retention_last_successful_run_timestamp_seconds",
            "Old lines of the tenant %s were last deleted",
            seconds,
        ),
    ]


def group(stands_still: int = STANDS_STILL) -> Group:
    """Return the rules. A compactor stands still after `stands_still` seconds without a success."""
    return Group(
        name="storage",
        rules=[
            _volume_used("VolumeFillingUp", 0.85, 15, "warning"),
            _volume_used("VolumeFull", 0.95, 2, "critical"),
            Alert(
                name="UploadsFailing",
                expr=rise(FAILED_UPLOADS, "1h", 3),
                minutes=15,
                severity="critical",
                summary="Data of the tenant {{ $labels.tenant }} does not get into its bucket.",
            ),
            Alert(
                name="DeletionsFailing",
                expr=rise(FAILED_DELETIONS, "3h", 3),
                minutes=15,
                severity="warning",
                summary="Old data of the tenant {{ $labels.tenant }} cannot be deleted from its bucket.",
            ),
            *_compactors(stands_still),
        ],
    )
