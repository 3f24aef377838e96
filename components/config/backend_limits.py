"""A tenant's limits in Cortex and Loki, under the names of their own configuration.

The descriptions follow pkg/util/validation/limits.go of Cortex 1.21 and pkg/validation/limits.go of Loki 3.7. A limit
that is not set has the back end's default, except those that components/tenant/back_ends/cortex.py sets.
"""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

# Prometheus, 'Time durations': the units from large to small, each once. A year has 365 days.
DURATION_PATTERN = r"^(0|([0-9]{1,2}y)?([0-9]{1,4}w)?([0-9]{1,5}d)?([0-9]{1,6}h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$"
SIZE_PATTERN = r"^[0-9]+(\.[0-9]+)?(B|KB|MB|GB)$"
LABEL_PATTERN = "^[a-zA-Z_][a-zA-Z0-9_]*$"  # Prometheus, 'Data model': label names

Count = Annotated[int, Field(ge=0, strict=True)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
GoDuration = Annotated[
    str,
    Field(pattern=DURATION_PATTERN, min_length=1),
    BeforeValidator(lambda value: "0" if value == 0 and not isinstance(value, bool) else value),
]
Size = Annotated[str, Field(pattern=SIZE_PATTERN)]
LabelName = Annotated[str, Field(pattern=LABEL_PATTERN)]


class Limits(BaseModel):
    """Limits under the back end's own names, which are in snake_case."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class MetricsLimits(Limits):
    """Limits of a tenant's metrics, under Cortex's names. A limit that is not set has the default."""

    ingestion_rate: Annotated[
        Rate | None, Field(description="Samples per second that the tenant may push. Default: 25000.")
    ] = None
    ingestion_burst_size: Annotated[
        Count | None, Field(description="Samples that may come at once. Default: 50000.")
    ] = None
    max_series_per_user: Annotated[
        Count | None, Field(description="Active series in each pod. 0: no limit. Default: 5000000.")
    ] = None
    max_series_per_metric: Annotated[
        Count | None, Field(description="Active series of one metric name in each pod. 0: no limit. Default: 50000.")
    ] = None
    max_global_series_per_user: Annotated[
        Count | None, Field(description="Active series in all pods, each counted once. 0: no limit. Default: 0.")
    ] = None
    max_global_series_per_metric: Annotated[
        Count | None,
        Field(description="Active series of one metric name in all pods, each counted once. 0: no limit. Default: 0."),
    ] = None
    max_metadata_per_user: Annotated[
        Count | None,
        Field(description="Metrics with metadata (type, help, unit) in each pod. 0: no limit. Default: 8000."),
    ] = None
    max_label_names_per_series: Annotated[Count | None, Field(description="Labels of a series. Default: 30.")] = None
    max_label_name_length: Annotated[
        Count | None, Field(description="Length of a label's name, in bytes. Default: 1024.")
    ] = None
    max_label_value_length: Annotated[
        Count | None, Field(description="Length of a label's value or a metric's name, in bytes. Default: 2048.")
    ] = None
    max_labels_size_bytes: Annotated[
        Count | None,
        Field(description="Size of all labels of a series, names and values, in bytes. 0: no limit. Default: 0."),
    ] = None
    max_exemplars: Annotated[
        Count | None,
        Field(
            description="Exemplars that each pod keeps in memory, the newest of all series. 0: only one, so that a higher "
            "limit takes effect without a restart. Default: 100000."
        ),
    ] = None
    enable_native_histograms: Annotated[
        bool | None,
        Field(
            description="Whether native histograms are stored. With false they are dropped, and clients get no error. "
            "Default: true."
        ),
    ] = None
    max_native_histogram_buckets: Annotated[
        Count | None,
        Field(
            description="Buckets of a native histogram. Buckets of larger ones are merged until they are few enough. 0: "
            "no limit. Default: 0."
        ),
    ] = None
    accept_ha_samples: Annotated[
        bool | None,
        Field(
            description="Whether one of several Prometheus servers with the same ha_cluster_label is elected. Samples of "
            "the others are dropped, and ha_replica_label is removed. Series without both labels are taken as they are. "
            "Default: true."
        ),
    ] = None
    ha_cluster_label: Annotated[
        LabelName | None,
        Field(description="Label whose value the servers of a pair have in common. Default: `cluster`."),
    ] = None
    ha_replica_label: Annotated[
        LabelName | None,
        Field(description="Label whose value differs between the servers of a pair. Default: `__replica__`."),
    ] = None
    reject_old_samples: Annotated[
        bool | None,
        Field(description="Whether samples older than reject_old_samples_max_age are refused. Default: false."),
    ] = None
    reject_old_samples_max_age: Annotated[
        GoDuration | None,
        Field(
            description="Age above which samples are refused, such as 12h. It needs reject_old_samples. Default: 14d."
        ),
    ] = None
    creation_grace_period: Annotated[
        GoDuration | None,
        Field(description="How far ahead of the server's clock a sample's time may be, such as 10m. Default: 10m."),
    ] = None
    out_of_order_time_window: Annotated[
        GoDuration | None,
        Field(
            description="How much older than the tenant's newest sample another sample may be, such as 30m. 0: "
            "the samples of a series must come in order. Default: 10m."
        ),
    ] = None
    max_fetched_chunks_per_query: Annotated[
        Count | None, Field(description="Chunks that a query may read. 0: no limit. Default: 2000000.")
    ] = None
    max_fetched_series_per_query: Annotated[
        Count | None, Field(description="Series that a query may read. 0: no limit. Default: 0.")
    ] = None
    max_fetched_chunk_bytes_per_query: Annotated[
        Count | None, Field(description="Size of all chunks that a query may read, in bytes. 0: no limit. Default: 0.")
    ] = None
    max_query_lookback: Annotated[
        GoDuration | None,
        Field(
            description="How far back queries see data, such as 30d. Answers leave older data out. 0: no limit. "
            "Default: 0."
        ),
    ] = None
    max_query_length: Annotated[
        GoDuration | None,
        Field(
            description="Longest time range of a query, from its start to its end, such as 32d. Longer queries "
            "are refused. 0: no limit. Default: 0."
        ),
    ] = None
    max_query_parallelism: Annotated[
        Count | None, Field(description="Parts of a query that run at the same time. Default: 14.")
    ] = None
    max_query_response_size: Annotated[
        Count | None, Field(description="Size of a query's uncompressed answer, in bytes. 0: no limit. Default: 0.")
    ] = None
    max_outstanding_requests_per_tenant: Annotated[
        Count | None,
        Field(description="Queries that wait at the same time. Further ones are answered 429. Default: 100."),
    ] = None
    ruler_max_rules_per_rule_group: Annotated[
        Count | None, Field(description="Rules in a rule group. 0: no limit. Default: 0.")
    ] = None
    ruler_max_rule_groups_per_tenant: Annotated[
        Count | None, Field(description="Rule groups. 0: no limit. Default: 0.")
    ] = None
    alertmanager_notification_rate_limit: Annotated[
        Annotated[float, Field(ge=0)] | None,
        Field(description="Notifications per second, for each integration. 0: no limit. Default: 0."),
    ] = None
    alertmanager_max_config_size_bytes: Annotated[
        Count | None,
        Field(description="Size of the Alertmanager's configuration, in bytes. 0: no limit. Default: 1048576."),
    ] = None
    alertmanager_max_templates_count: Annotated[
        Count | None, Field(description="Templates in the Alertmanager's configuration. 0: no limit. Default: 100.")
    ] = None
    alertmanager_max_template_size_bytes: Annotated[
        Count | None, Field(description="Size of a template, in bytes. 0: no limit. Default: 102400.")
    ] = None
    alertmanager_max_dispatcher_aggregation_groups: Annotated[
        Count | None,
        Field(
            description="Groups of alerts that are notified together. Alerts of further groups are not sent. 0: "
            "no limit. Default: 1000."
        ),
    ] = None
    alertmanager_max_alerts_count: Annotated[
        Count | None, Field(description="Alerts that the Alertmanager holds. 0: no limit. Default: 10000.")
    ] = None
    alertmanager_max_alerts_size_bytes: Annotated[
        Count | None,
        Field(description="Size of all alerts that the Alertmanager holds, in bytes. 0: no limit. Default: 33554432."),
    ] = None
    alertmanager_max_silences_count: Annotated[
        Count | None, Field(description="Silences, expired ones included. 0: no limit. Default: 1000.")
    ] = None
    alertmanager_max_silences_size_bytes: Annotated[
        Count | None, Field(description="Size of a silence, in bytes. 0: no limit. Default: 65536.")
    ] = None

    @model_validator(mode="after")
    def _pairs_have_two_labels(self) -> "MetricsLimits":
        cluster, replica = self.ha_cluster_label or "cluster", self.ha_replica_label or "__replica__"
        if cluster == replica:
            raise ValueError(
                f"ha_cluster_label and ha_replica_label are both {cluster!r}, so no two servers would be a pair; name the "
                "label that differs between the servers as ha_replica_label"
            )
        return self


class LogsLimits(Limits):
    """Limits of a tenant's logs, under Loki's names. A limit that is not set has the default."""

    ingestion_rate_mb: Annotated[
        Rate | None,
        Field(description="Megabytes (1048576 bytes) of lines and structured metadata per second. Default: 4."),
    ] = None
    ingestion_burst_size_mb: Annotated[
        Rate | None,
        Field(description="Megabytes (1048576 bytes) that may come at once: the largest push that passes. Default: 6."),
    ] = None
    per_stream_rate_limit: Annotated[
        Size | None, Field(description="Bytes per second of one stream, such as 512KB. Default: 3MB.")
    ] = None
    per_stream_rate_limit_burst: Annotated[
        Size | None, Field(description="Bytes of one stream that may come at once, such as 2MB. Default: 15MB.")
    ] = None
    max_streams_per_user: Annotated[
        Count | None, Field(description="Active streams in each pod. 0: no limit. Default: 0.")
    ] = None
    max_global_streams_per_user: Annotated[
        Count | None, Field(description="Active streams in all pods, each counted once. 0: no limit. Default: 5000.")
    ] = None
    max_label_names_per_series: Annotated[Count | None, Field(description="Labels of a stream. Default: 15.")] = None
    max_label_name_length: Annotated[
        Count | None, Field(description="Length of a label's name, in bytes. Default: 1024.")
    ] = None
    max_label_value_length: Annotated[
        Count | None, Field(description="Length of a label's value, in bytes. Default: 2048.")
    ] = None
    max_line_size: Annotated[
        Size | None,
        Field(
            description="Size of a line, such as 64KB. Longer lines are discarded, or cut with "
            "max_line_size_truncate. 0B: no limit. Default: 256KB."
        ),
    ] = None
    max_line_size_truncate: Annotated[
        bool | None,
        Field(description="Whether lines above max_line_size are cut instead of discarded. Default: false."),
    ] = None
    reject_old_samples: Annotated[
        bool | None,
        Field(description="Whether lines older than reject_old_samples_max_age are refused. Default: true."),
    ] = None
    reject_old_samples_max_age: Annotated[
        GoDuration | None, Field(description="Age above which lines are refused, such as 12h. Default: 7d.")
    ] = None
    creation_grace_period: Annotated[
        GoDuration | None,
        Field(description="How far ahead of the server's clock a line's time may be, such as 10m. Default: 10m."),
    ] = None
    max_chunks_per_query: Annotated[
        Count | None, Field(description="Chunks that a query may read. Default: 2000000.")
    ] = None
    max_query_series: Annotated[
        Count | None, Field(description="Series that a metric query may return. Default: 500.")
    ] = None
    max_query_lookback: Annotated[
        GoDuration | None,
        Field(
            description="How far back queries see data, such as 30d. Answers leave older data out. 0: no limit. "
            "Default: 0."
        ),
    ] = None
    max_query_length: Annotated[
        GoDuration | None,
        Field(
            description="Longest time range of a query, from its start to its end, such as 7d. Longer queries are "
            "refused. 0: no limit. Default: 721h."
        ),
    ] = None
    max_query_range: Annotated[
        GoDuration | None,
        Field(
            description='Longest range in brackets within a query, such as the 1h in `rate({app="a"}[1h])`. 0: '
            "no limit. Default: 0."
        ),
    ] = None
    max_query_parallelism: Annotated[
        Count | None,
        Field(
            description="Parts of a query that run at the same time on data without a TSDB index. All data of "
            "this instance has one, so the limit has no effect. Default: 32."
        ),
    ] = None
    max_query_bytes_read: Annotated[
        Size | None, Field(description="Bytes that a query may read, such as 10GB. 0B: no limit. Default: 0B.")
    ] = None
    max_entries_limit_per_query: Annotated[
        Count | None, Field(description="Lines that a query may return. Default: 5000.")
    ] = None
    max_concurrent_tail_requests: Annotated[
        Count | None, Field(description="Clients that tail at the same time. Default: 10.")
    ] = None
    max_streams_matchers_per_query: Annotated[
        Count | None, Field(description="Stream matchers in a query. Default: 1000.")
    ] = None
    cardinality_limit: Annotated[
        Count | None,
        Field(
            description="Index entries that a query may read from an index other than TSDB. All data of this "
            "instance has TSDB, so the limit has no effect. Default: 100000."
        ),
    ] = None
    query_timeout: Annotated[
        GoDuration | None, Field(description="How long a query may run, such as 30s. Default: 1m.")
    ] = None


# The names under which Cortex and Loki take a tenant's retention, as one limit among others.
METRICS_RETENTION, LOGS_RETENTION = "compactor_blocks_retention_period", "retention_period"
METRICS_LIMIT_NAMES = (*MetricsLimits.model_fields, METRICS_RETENTION)
LOGS_LIMIT_NAMES = (*LogsLimits.model_fields, LOGS_RETENTION)
