"""Which metrics the collectors keep, by the job that scrapes them. A scrape drops all others.

It is the one place to add a metric that a rule, a dashboard or a page needs. Names are regular expressions for whole names.
Jobs that keep everything are listed too, so that tests can tell which metrics the system tenant has.
"""

import re
from collections.abc import Mapping, Sequence

PROCESS = "process_(cpu_seconds_total|resident_memory_bytes|start_time_seconds)"

CORTEX = (
    PROCESS,
    "cortex_build_info",
    "cortex_request_duration_seconds_(count|sum)",
    # What came in, and what was refused.
    "cortex_distributor_(received_samples_total|samples_in_total|latest_seen_sample_timestamp_seconds)",
    "cortex_discarded_samples_total",
    "cortex_ingester_(memory_series|active_series|ingested_samples_failures_total)",
    "cortex_ingester_tsdb_storage_blocks_bytes",
    "cortex_ingester_tsdb_(wal_corruptions_total|wal_writes_failed_total|compactions_failed_total|head_truncations_failed_total)",
    # From the volume to the bucket, and what happens there.
    "cortex_ingester_shipper_(uploads_total|upload_failures_total|dir_sync_failures_total)",
    "cortex_compactor_(runs_completed_total|runs_failed_total|last_successful_run_timestamp_seconds)",
    "cortex_compactor_block_cleanup_(completed_total|failed_total|failures_total|last_successful_run_timestamp_seconds)",
    "cortex_bucket_(blocks_count|index_last_successful_update_timestamp_seconds)",
    "thanos_objstore_bucket_operation_failures_total",
    # Queries, rules, and alerts on their way to the Alertmanager.
    "cortex_query_frontend_(queries_total|queue_length)",
    "cortex_query_seconds_total",
    "cortex_prometheus_(rule_evaluations_total|rule_evaluation_failures_total)",
    "cortex_prometheus_rule_group_(iterations_missed_total|last_evaluation_timestamp_seconds)",
    "cortex_prometheus_notifications_(sent_total|errors_total|dropped_total)",
)
ALERTMANAGER = (
    PROCESS,
    "cortex_build_info",
    "cortex_alertmanager_(alerts|alerts_received_total|notifications_total|notifications_failed_total)",
)
LOKI = (
    PROCESS,
    "loki_build_info",
    "loki_request_duration_seconds_(count|sum)",
    "loki_distributor_(bytes_received_total|lines_received_total)",
    "loki_discarded_(samples_total|bytes_total)",
    "loki_ingester_(memory_streams|memory_chunks|chunk_stored_bytes_total|chunks_flushed_total|chunks_flush_failures_total)",
    "loki_ingester_wal_(disk_full_failures_total|corruptions_total)",
    "loki_boltdb_shipper_compact_tables_operation_(total|last_successful_run_timestamp_seconds)",
    "loki_compactor_apply_retention_(operation_total|last_successful_run_timestamp_seconds)",
    "loki_compactor_oldest_pending_delete_request_age_seconds",
    "loki_boltdb_shipper_retention_sweeper_chunk_deleted_duration_seconds_(count|sum)",
    "loki_prometheus_(rule_evaluations_total|rule_evaluation_failures_total)",
    "loki_prometheus_notifications_(sent_total|errors_total|dropped_total)",
)
# Of the kubelet's own series, those that tell of volumes, pods, certificates and errors.
KUBELET = (
    "kubelet_(volume_stats|certificate_manager|server_expiration|running|runtime_operations_errors|pleg_last|node_name|evictions).*",
    PROCESS,
)
# Of the API server's series, most of which are buckets of histograms by verb and resource.
API_SERVER = (
    "apiserver_(request_total|current_inflight_requests|storage_objects|requested_deprecated_apis|tls_handshake_errors_total)",
    "apiserver_(admission_webhook_rejection_count|storage_size_bytes|dropped_requests_total|flowcontrol_rejected_requests_total)",
    PROCESS,
)

KEPT: Mapping[str, Sequence[str]] = {
    "cortex": CORTEX,
    "alertmanager": ALERTMANAGER,
    "loki": LOKI,
    "kubelet": KUBELET,
    "apiserver": API_SERVER,
    # Whole, but for what `scrape` names and drops.
    "cadvisor": ("container_.*", "machine_.*"),
    "collector": ("otelcol_.*", "process_.*"),
    # Not scraped: what the collector counts of Kubernetes, and what the gateway pushes (components/gateway/metrics/own.py).
    "kubernetes": ("k8s_.*",),
    "gateway": ("envoy_.*",),
}


def is_kept(metric: str, job: str) -> bool:
    """Tell whether the system tenant has a metric of this name from a job."""
    if metric == "up" or metric.startswith("scrape_"):  # of every scrape
        return True
    return any(re.fullmatch(name, metric) for name in KEPT[job])
