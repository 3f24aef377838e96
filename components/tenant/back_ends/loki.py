"""A Loki in one process: a tenant's logs."""

from typing import Any

import pulumi

from components.config.backend_limits import LOGS_LIMIT_NAMES, LOGS_RETENTION
from components.config.tenant import TenantSettings
from components.core.images import LOKI_IMAGE
from components.core.names import PORTS, SYSTEM
from components.core.resource_names import LOKI_TYPE
from components.core.units import hours
from components.tenant.back_ends.backend import DATA_FOLDER, api_backend, declare_backend
from components.tenant.back_ends.shared_blocks import (
    alerts_to,
    gossip_name,
    memberlist,
    ready_after,
    ring_store,
    rule_poll,
    runtime_config,
    server,
)
from components.tenant.back_ends.store import StoreArgs

GRPC_PORT = 9096
# A chunk has room for all its counts from the start, one each 10 s. The default is an hour: 6 KB for each pattern.
PATTERN_CHUNK = "15m"
COMPACTOR = {
    "retention_enabled": True,
    "delete_request_store": "s3",
    "working_directory": f"{DATA_FOLDER}/compactor",
    # Each time, Loki lists the index of every day, to compact it and again for the retention. The default is 10 minutes.
    "compaction_interval": "1h",
}
# The labels of the logs that the collectors send. Loki's own list has the pod's name and the service's instance, of which
# each is a new stream. They stay structured metadata.
CLUSTER_LABELS = (
    "service.name",
    *(f"k8s.{name}.name" for name in ("namespace", "deployment", "statefulset", "daemonset", "cronjob", "container")),
)
# A pod that stops waits until S3 has taken all chunks. By default, each attempt that fails adds 10 s to a minute, and the pod is
# killed after `STOP_SECONDS`.
FLUSH_RETRIES = {"min_period": "1s", "max_period": "10s"}
SCHEMA = {
    "from": "2024-01-01",  # before any instance, so that one schema holds all data
    "store": "tsdb",
    "object_store": "s3",
    "schema": "v13",
    "index": {"prefix": "index_", "period": "24h"},
}


def loki_limits(settings: TenantSettings, tenant: str) -> dict[str, Any]:
    """Return the tenant's limits, under Loki's names."""
    limits = settings.limits.logs.model_dump(exclude_none=True)
    return limits | {LOGS_RETENTION: f"{hours(settings.retention.logs)}h"} | _otlp_labels(tenant)


def _otlp_labels(tenant: str) -> dict[str, Any]:
    """Return which attributes of OTLP become labels, for the system tenant alone; clients of others may use Loki's list."""
    if tenant != SYSTEM:
        return {}
    labels = [{"action": "index_label", "attributes": list(CLUSTER_LABELS)}]
    return {"otlp_config": {"resource_attributes": {"ignore_defaults": True, "attributes_config": labels}}}


def _ruler(store: StoreArgs) -> dict[str, Any]:
    """Return the `ruler` block: alerts go to the tenant's Alertmanager, recorded series to its Cortex."""
    # Loki names the tenant in each request.
    cortex = {"url": "http://cortex/api/v1/push"}
    return {
        "enable_sharding": store.settings.pods().replicas > 1,
        "wal": {"dir": f"{DATA_FOLDER}/ruler-wal"},
        "remote_write": {"enabled": True, "clients": {"cortex": cortex}},
        **rule_poll(store),
        **alerts_to(store),
    }


def loki_config(store: StoreArgs, bucket: str) -> dict[str, Any]:
    """Return Loki's configuration: one process, chunks in S3, the write-ahead log on the volume."""
    aws, replicas = store.aws, store.settings.pods().replicas
    lifecycler = {"min_ready_duration": ready_after(store), "final_sleep": "0s"}
    s3: dict[str, Any] = {"bucketnames": bucket, "region": aws.region}
    if aws.s3_is_elsewhere():
        s3 |= {"endpoint": aws.endpoints["s3"], "s3forcepathstyle": True, "insecure": aws.s3_is_plain()}
    return {
        "auth_enabled": True,
        "target": "all",
        "server": server(PORTS["loki"], GRPC_PORT),
        "runtime_config": runtime_config(),
        **memberlist("loki", store),
        "common": {
            "path_prefix": DATA_FOLDER,
            "replication_factor": replicas,
            "ring": {"kvstore": ring_store(store)},
            **({"instance_addr": "127.0.0.1"} if replicas == 1 else {}),
            "storage": {"s3": s3},
        },
        "schema_config": {"configs": [SCHEMA]},
        "ingester": {
            "lifecycler": lifecycler,
            "flush_op_backoff": FLUSH_RETRIES,
            "wal": {
                "enabled": True,
                "dir": f"{DATA_FOLDER}/wal",
                "flush_on_shutdown": True,
                "replay_memory_ceiling": "1GB",
            },
        },
        # Queriers take queries from the frontends of all pods. With Loki's schedulers in a ring between them, as by default, a
        # pod is ready after 10.8 s in place of 0.6 s.
        "query_scheduler": {"use_scheduler_ring": False},
        "frontend_worker": {"frontend_address": f"{'127.0.0.1' if replicas == 1 else gossip_name('loki')}:{GRPC_PORT}"},
        "compactor": COMPACTOR,
        "limits_config": {
            "allow_structured_metadata": True,
            # Each of several pods has its own list of deletion requests, but only one deletes. So requests are refused, not lost.
            **({"deletion_mode": "disabled"} if replicas > 1 else {}),
        },
        "ruler": _ruler(store),
        # Its ring is another one. By default, it lets the pod be ready 15 s after its own start.
        "pattern_ingester": {
            "enabled": store.settings.log_patterns,
            "lifecycler": lifecycler,
            "max_chunk_age": PATTERN_CHUNK,
        },
        # The limits that /config/tenant/v1/limits shows; it shows the caller's own alone.
        "tenant_limits_allow_publish": sorted(LOGS_LIMIT_NAMES),
        "analytics": {"reporting_enabled": False},
    }


class Loki(pulumi.ComponentResource):
    """The default logs back end of a tenant."""

    service: str
    running: pulumi.Output[str]

    def __init__(self, name: str, args: StoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(LOKI_TYPE, name, None, opts)
        config = args.buckets["logs"].apply(lambda bucket: loki_config(args, bucket))
        limits = loki_limits(args.settings, args.tenant)
        backend = api_backend("loki", LOKI_IMAGE, args, config=config, limits=limits)
        self.running = declare_backend(name, backend, self)
        self.service = "loki"
        self.register_outputs({"service": self.service})
