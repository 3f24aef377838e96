"""A Cortex in one process: a tenant's metrics."""

import json
from typing import Any

import pulumi

from components.backend import (
    DATA_FOLDER,
    BackendArgs,
    StoreArgs,
    declare_backend,
    memberlist,
    ready_after,
    ring_store,
    runtime_config,
    server,
)
from components.limits import METRICS_RETENTION
from components.names import ALERTMANAGER, ALERTMANAGER_PATH, PORTS
from components.section import hours
from components.tenant_config import TenantSettings
from components.versions import CORTEX_IMAGE
from components.workload import Aws

GRPC_PORT = 9095
# All of them but the Alertmanager, which runs in a pod of its own or not at all (components/alertmanager.py).
PARTS = ("distributor", "ingester", "querier", "query-frontend", "store-gateway", "compactor", "ruler")
# What its own defaults leave open, and its pod has not: Cortex is told too, for it is asked which limits are in force.
ALERTMANAGER_LIMITS = {
    "alertmanager_max_config_size_bytes": 1 << 20,
    "alertmanager_max_templates_count": 100,
    "alertmanager_max_template_size_bytes": 100 << 10,
    "alertmanager_max_dispatcher_aggregation_groups": 1000,
    "alertmanager_max_alerts_count": 10_000,
    "alertmanager_max_alerts_size_bytes": 32 << 20,
    "alertmanager_max_silences_count": 1000,
    "alertmanager_max_silences_size_bytes": 64 << 10,
}


def cortex_limits(settings: TenantSettings) -> dict[str, Any]:
    """Return what the tenant is allowed, under Cortex's names."""
    limits = settings.limits.metrics.model_dump(exclude_none=True)
    return ALERTMANAGER_LIMITS | limits | {METRICS_RETENTION: f"{hours(settings.retention.metrics)}h"}


def s3_storage(aws: Aws, bucket: str) -> dict[str, Any]:
    """Return the block of a store in S3."""
    lookup = "path" if aws.s3_is_elsewhere() else "virtual-hosted"
    place = {"endpoint": aws.s3_host(), "region": aws.region, "bucket_name": bucket}
    return {"backend": "s3", "s3": place | {"insecure": aws.s3_is_plain(), "bucket_lookup_type": lookup}}


def cortex_config(store: StoreArgs, metrics_bucket: str, config_bucket: str) -> dict[str, Any]:
    """Return Cortex's configuration: everything in one process, blocks in S3, the log of writes on the volume."""
    replicas = store.settings.pods().replicas
    shared, alerts = replicas > 1, store.settings.alertmanager.enabled
    ring = {"kvstore": ring_store(store)}
    return {
        "target": ",".join(PARTS),
        "auth_enabled": True,
        "server": server(PORTS["cortex"], GRPC_PORT),
        "runtime_config": runtime_config(),
        **({"limits": {"ingestion_rate_strategy": "global"}} if shared else {}),  # else each pod allows all of it
        **memberlist("cortex", store),
        "blocks_storage": {
            **s3_storage(store.aws, metrics_bucket),
            "tsdb": {"dir": f"{DATA_FOLDER}/tsdb", "flush_blocks_on_shutdown": True},
            # Blocks that a pod with an empty volume finds (after `adopt`, or a lost volume) are seen in a minute, not in 15.
            "bucket_store": {"sync_dir": f"{DATA_FOLDER}/tsdb-sync", "sync_interval": "1m"},
        },
        "compactor": {"data_dir": f"{DATA_FOLDER}/compactor", "sharding_enabled": shared, "sharding_ring": ring},
        "ingester": {
            "lifecycler": {
                "ring": {**ring, "replication_factor": replicas},
                "min_ready_duration": ready_after(store),
                "final_sleep": "0s",
                "join_after": "0s",
                # Of several, one that restarts keeps its place: the others do not take its series meanwhile.
                "unregister_on_shutdown": not shared,
            }
        },
        "distributor": {"ring": ring, "shard_by_all_labels": True},
        "querier": {
            "active_query_tracker_dir": f"{DATA_FOLDER}/active-queries",
            **({} if shared else {"store_gateway_addresses": f"127.0.0.1:{GRPC_PORT}"}),  # the ring knows the others
        },
        "store_gateway": {
            "sharding_enabled": shared,
            "sharding_ring": {**ring, "replication_factor": replicas},
        },
        "ruler": {
            "rule_path": f"{DATA_FOLDER}/rules",
            "enable_api": True,
            "enable_sharding": shared,
            "ring": ring,
            **({"alertmanager_url": f"http://{ALERTMANAGER}{ALERTMANAGER_PATH}"} if alerts else {}),
        },
        # Another bucket than the blocks': the compactor takes every top-level name there for a tenant.
        "ruler_storage": s3_storage(store.aws, config_bucket),
    }


class Cortex(pulumi.ComponentResource):
    """The default metrics back end of a tenant."""

    service: str
    running: pulumi.Output[str]

    def __init__(self, name: str, args: StoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("opstrace:cortex:Cortex", name, None, opts)
        config = pulumi.Output.all(args.buckets["metrics"], args.buckets["config"]).apply(
            lambda names: json.dumps(cortex_config(args, *names), indent=1)
        )
        backend = BackendArgs(
            program="cortex",
            image=CORTEX_IMAGE,
            component="metrics",
            replicas=args.settings.pods().replicas,
            config=config,
            limits=cortex_limits(args.settings),
            http_port=PORTS["cortex"],
            size=args.settings.pods().metrics,
            store=args,
        )
        self.running = declare_backend(name, backend, self)
        self.service = "cortex"
        self.register_outputs({"service": self.service})
