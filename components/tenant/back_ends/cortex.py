"""A Cortex in one process: a tenant's metrics."""

import dataclasses
from typing import Any

import pulumi

from components.collectors.rules import mounted
from components.config.backend_limits import METRICS_RETENTION
from components.config.tenant import TenantSettings
from components.core.images import CORTEX_IMAGE
from components.core.labels import labels
from components.core.names import PORTS
from components.core.resource_names import CORTEX_TYPE
from components.core.units import hours
from components.shared.pods import Aws
from components.tenant.back_ends.backend import DATA_FOLDER, api_backend, declare_backend
from components.tenant.back_ends.shared_blocks import (
    alerts_to,
    memberlist,
    ready_after,
    ring_store,
    rule_poll,
    runtime_config,
    server,
)
from components.tenant.back_ends.store import StoreArgs

GRPC_PORT = 9095
# All parts but the Alertmanager, which runs in a pod of its own or not at all (components/tenant/back_ends/alertmanager.py).
PARTS = ("distributor", "ingester", "querier", "query-frontend", "store-gateway", "compactor", "ruler")
# Cortex's own defaults are unlimited. Cortex gets these values too, because it reports the limits in force.
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

# What Prometheus itself stores, and pairs of it. Cortex's own defaults are off.
PROMETHEUS_LIMITS = {
    "enable_native_histograms": True,
    "max_exemplars": 100_000,  # as many as Prometheus keeps
    "out_of_order_time_window": "10m",
    "accept_ha_samples": True,
}
OWN_DEFAULTS = ALERTMANAGER_LIMITS | PROMETHEUS_LIMITS

CLEANUP_INTERVAL = "30m"  # of the compactor: each time it writes four objects and lists two prefixes
BLOCKS = {
    "tsdb": {
        "dir": f"{DATA_FOLDER}/tsdb",
        "flush_blocks_on_shutdown": True,
        # For tenants whose limit is 0. With none at the start, a higher limit would wait for the next restart.
        "max_exemplars": 1,
    },
    "bucket_store": {
        "sync_dir": f"{DATA_FOLDER}/tsdb-sync",
        # A pod with an empty volume (after `adopt` or a loss) finds the blocks in a minute or two, not in 15: the compactor
        # writes an index of the blocks at its start, and reading that is one GET.
        "sync_interval": "1m",
        # Four times the interval at which the compactor writes it, as by default. Ingesters keep their blocks for 6 hours, so
        # what an index of this age lacks, they have.
        "bucket_index": {"max_stale_period": "2h"},
    },
    # By default each synchronization lists the tenants of the bucket, by two LIST. A pod finds its one tenant at its start. If
    # the bucket was empty then, ingesters have all that is in it, for 6 hours.
    "users_scanner": {"cache_ttl": "1h"},
}


def cortex_limits(settings: TenantSettings) -> dict[str, Any]:
    """Return the tenant's limits, under Cortex's names."""
    limits = settings.limits.metrics.model_dump(exclude_none=True)
    return OWN_DEFAULTS | limits | {METRICS_RETENTION: f"{hours(settings.retention.metrics)}h"}


def s3_storage(aws: Aws, bucket: str) -> dict[str, Any]:
    """Return the configuration block of a store in S3."""
    lookup = "path" if aws.s3_is_elsewhere() else "virtual-hosted"
    place = {"endpoint": aws.s3_host(), "region": aws.region, "bucket_name": bucket}
    return {"backend": "s3", "s3": place | {"insecure": aws.s3_is_plain(), "bucket_lookup_type": lookup}}


def _limits(shared: bool) -> dict[str, Any]:
    """Return the limits that no setting changes."""
    return {
        # By default Cortex decides by the first series of a push. Collectors send series of several pairs in one push.
        "accept_mixed_ha_samples": True,
        # The default allows each pod the full rate.
        **({"ingestion_rate_strategy": "global"} if shared else {}),
    }


def cortex_config(store: StoreArgs, metrics_bucket: str, config_bucket: str) -> dict[str, Any]:
    """Return Cortex's configuration: one process, blocks in S3, the write-ahead log on the volume."""
    replicas = store.settings.pods().replicas
    shared = replicas > 1
    ring = {"kvstore": ring_store(store)}
    return {
        "target": ",".join(PARTS),
        "auth_enabled": True,
        "server": server(PORTS["cortex"], GRPC_PORT),
        "runtime_config": runtime_config(),
        "limits": _limits(shared),
        # The HA tracker takes no store in memory, so one pod has a memberlist too, on loopback.
        **(memberlist("cortex", store) or {"memberlist": {"bind_addr": ["127.0.0.1"], "bind_port": 0}}),
        "blocks_storage": {**s3_storage(store.aws, metrics_bucket), **BLOCKS},
        "compactor": {
            "data_dir": f"{DATA_FOLDER}/compactor",
            "cleanup_interval": CLEANUP_INTERVAL,
            "sharding_enabled": shared,
            "sharding_ring": ring,
        },
        "ingester": {
            "lifecycler": {
                "ring": {**ring, "replication_factor": replicas},
                "min_ready_duration": ready_after(store),
                "final_sleep": "0s",
                "join_after": "0s",
                # One of several pods keeps its place during a restart, so that the others do not take over its series.
                "unregister_on_shutdown": not shared,
            }
        },
        "distributor": {
            "ring": ring,
            "shard_by_all_labels": True,
            # Of a push to an ingester. At the default of 2 s, a busy one answers 500 to late samples, which need a write ahead log
            # of their own. The collectors take 500 for final, and drop the push.
            "remote_timeout": "20s",
            "remote_writev2_enabled": True,  # otherwise, Cortex answers 415 to version 2.0 of remote write
            "ha_tracker": {"enable_ha_tracker": True, "kvstore": {"store": "memberlist"}},
        },
        "querier": {
            "active_query_tracker_dir": f"{DATA_FOLDER}/active-queries",
            # Several pods find each other by their ring.
            **({} if shared else {"store_gateway_addresses": f"127.0.0.1:{GRPC_PORT}"}),
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
            **rule_poll(store),
            **alerts_to(store),
        },
        # Not the bucket of the blocks: the compactor takes every top-level name in it for a tenant.
        "ruler_storage": mounted.ruler_storage() if store.rules else s3_storage(store.aws, config_bucket),
    }


class Cortex(pulumi.ComponentResource):
    """The default metrics back end of a tenant."""

    service: str
    running: pulumi.Output[str]

    def __init__(self, name: str, args: StoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(CORTEX_TYPE, name, None, opts)
        config = pulumi.Output.all(args.buckets["metrics"], args.buckets["config"]).apply(
            lambda names: cortex_config(args, *names)
        )
        limits = cortex_limits(args.settings)
        backend = api_backend("cortex", CORTEX_IMAGE, args, config=config, limits=limits)
        if args.rules:
            marks = labels("cortex", backend.component, args.instance)
            mounted.declare_rules(name, args.rules, args.namespace, marks, self)
            backend = dataclasses.replace(backend, volumes=[(mounted.volume(), mounted.mount())])
        self.running = declare_backend(name, backend, self)
        self.service = "cortex"
        self.register_outputs({"service": self.service})
