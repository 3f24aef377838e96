"""A tenant's limits, under the names that Cortex and Loki give them in their own configuration.

Cortex 1.21 'Configuration file reference', `limits_config`; Loki 3.7 'Configuration
parameters', `limits_config`. What is not set here has the back end's own default, but for the
limits of an Alertmanager (components/cortex.py); 0 means no limit where the back end's reference says so.
"""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Count = Annotated[int, Field(ge=0, strict=True)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
GoDuration = Annotated[
    str,
    BeforeValidator(lambda given: "0" if given == 0 and not isinstance(given, bool) else given),
    Field(
        # Prometheus, 'Time durations': the units from large to small, each once.
        pattern=r"^(0|(?=.)(\d{1,2}y)?(\d{1,4}w)?(\d{1,5}d)?(\d{1,6}h)?(\d+m)?(\d+s)?(\d+ms)?)$",
        description="A duration such as 90s, 12h or 30d; 0 for none.",
    ),
]
Size = Annotated[str, Field(pattern=r"^\d+(\.\d+)?(B|KB|MB|GB)$", description="A size such as 256KB.")]


class Limits(BaseModel):
    """Limits have the names of the field, in snake_case; one that is not set is left to the program that declares it."""

    model_config = ConfigDict(extra="forbid", frozen=True, regex_engine="python-re")


class MetricsLimits(Limits):
    """Cortex's limits of a tenant."""

    ingestion_rate: Annotated[Rate | None, Field(description="Samples a second.")] = None
    ingestion_burst_size: Annotated[Count | None, Field(description="Samples that may come at once.")] = None
    max_series_per_user: Annotated[Count | None, Field(description="Active series of an ingester.")] = None
    max_series_per_metric: Annotated[Count | None, Field(description="Active series of a metric name.")] = None
    max_global_series_per_user: Annotated[Count | None, Field(description="Active series of all ingesters.")] = None
    max_global_series_per_metric: Count | None = None
    max_metadata_per_user: Count | None = None
    max_label_names_per_series: Count | None = None
    max_label_name_length: Count | None = None
    max_label_value_length: Count | None = None
    max_labels_size_bytes: Count | None = None
    max_exemplars: Count | None = None
    reject_old_samples: bool | None = None
    reject_old_samples_max_age: GoDuration | None = None
    creation_grace_period: Annotated[GoDuration | None, Field(description="How far ahead of now samples may be.")] = (
        None
    )
    out_of_order_time_window: Annotated[
        GoDuration | None, Field(description="How much older than the newest samples may come.")
    ] = None
    max_fetched_chunks_per_query: Count | None = None
    max_fetched_series_per_query: Count | None = None
    max_fetched_chunk_bytes_per_query: Count | None = None
    max_query_lookback: Annotated[GoDuration | None, Field(description="How far back queries may look.")] = None
    max_query_length: Annotated[GoDuration | None, Field(description="From the start of a query to its end.")] = None
    max_query_parallelism: Count | None = None
    max_query_response_size: Count | None = None
    max_outstanding_requests_per_tenant: Count | None = None
    ruler_max_rules_per_rule_group: Count | None = None
    ruler_max_rule_groups_per_tenant: Count | None = None
    alertmanager_notification_rate_limit: Annotated[float, Field(ge=0)] | None = None
    alertmanager_max_config_size_bytes: Count | None = None
    alertmanager_max_templates_count: Count | None = None
    alertmanager_max_template_size_bytes: Count | None = None
    alertmanager_max_dispatcher_aggregation_groups: Count | None = None
    alertmanager_max_alerts_count: Count | None = None
    alertmanager_max_alerts_size_bytes: Count | None = None
    alertmanager_max_silences_count: Count | None = None
    alertmanager_max_silences_size_bytes: Count | None = None


class LogsLimits(Limits):
    """Loki's limits of a tenant."""

    ingestion_rate_mb: Annotated[Rate | None, Field(description="Megabytes a second.")] = None
    ingestion_burst_size_mb: Annotated[Rate | None, Field(description="Megabytes that may come at once.")] = None
    per_stream_rate_limit: Size | None = None
    per_stream_rate_limit_burst: Size | None = None
    max_streams_per_user: Annotated[Count | None, Field(description="Active streams of an ingester.")] = None
    max_global_streams_per_user: Annotated[Count | None, Field(description="Active streams of all ingesters.")] = None
    max_label_names_per_series: Count | None = None
    max_label_name_length: Count | None = None
    max_label_value_length: Count | None = None
    max_line_size: Size | None = None
    max_line_size_truncate: bool | None = None
    reject_old_samples: bool | None = None
    reject_old_samples_max_age: GoDuration | None = None
    creation_grace_period: GoDuration | None = None
    max_chunks_per_query: Count | None = None
    max_query_series: Count | None = None
    max_query_lookback: GoDuration | None = None
    max_query_length: GoDuration | None = None
    max_query_range: GoDuration | None = None
    max_query_parallelism: Count | None = None
    max_query_bytes_read: Size | None = None
    max_entries_limit_per_query: Count | None = None
    max_concurrent_tail_requests: Count | None = None
    max_streams_matchers_per_query: Count | None = None
    cardinality_limit: Count | None = None
    query_timeout: GoDuration | None = None


# What Cortex and Loki call a tenant's retention, which is a limit to them.
METRICS_RETENTION, LOGS_RETENTION = "compactor_blocks_retention_period", "retention_period"
METRICS_LIMIT_NAMES = (*MetricsLimits.model_fields, METRICS_RETENTION)
LOGS_LIMIT_NAMES = (*LogsLimits.model_fields, LOGS_RETENTION)
