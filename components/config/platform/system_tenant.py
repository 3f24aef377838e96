"""The defaults of the system tenant, which bound what the cluster's own logs and metrics cost.

docs/explanation/scale.md derives the numbers, for 10 nodes with 100 tenants.
"""

from components.collectors.scrape import MOST_LABELS
from components.config.tenant import TenantSettings

SYSTEM_DEFAULTS = TenantSettings.model_validate(
    {
        "retention": {"metrics": "7d", "logs": "7d"},
        "limits": {
            "metrics": {
                "max_series_per_user": 200_000,
                "ingestion_rate": 25_000,
                "ingestion_burst_size": 100_000,
                # As long as a collector's queue of metrics lasts, with 10,000 series on its node. After an outage, the
                # gateway's samples are there first, and those of the queues are late.
                "out_of_order_time_window": "3h",
                # Cortex takes 30 by default, and would refuse series of annotated pods that have 30 without their workload.
                "max_label_names_per_series": MOST_LABELS,
            },
            "logs": {"ingestion_rate_mb": 8, "ingestion_burst_size_mb": 16, "max_global_streams_per_user": 5_000},
        },
    }
)
