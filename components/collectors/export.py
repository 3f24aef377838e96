"""How the collectors send to the system tenant, and how they keep what they cannot send yet.

The queue is on the node's disk, and written with fsync: neither the end of the process nor that of the node loses what is
in it. Batches are made when the queue is read. The batch processor would hold data in memory alone
(open-telemetry/opentelemetry-collector#12711). docs/decisions/0010-full-queues.md says what a full queue does, and why.
"""

from collections.abc import Mapping
from typing import Any

from components.collectors.settings import HEALTH_PORT, OWN_METRICS_PORT, QUEUE_FOLDER, CollectorQueues
from components.core.names import SYSTEM, Api, namespace

METRICS, LOGS = "otlp_http/metrics", "otlp_http/logs"  # the exporters
STORAGE = "file_storage"
HEALTH = "health_check"
EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 the network policy admits nobody; the kubelet probes from the node
PATHS: dict[Api, str] = {"cortex": "/api/v1/otlp", "loki": "/otlp"}
BATCH_BYTES = 2**20  # below the largest push that the back ends take
BATCH_SECONDS = 1
TIMEOUT = "30s"
# Without end: the default gives up, and drops, after five minutes.
RETRIES: dict[str, Any] = {"initial_interval": "1s", "max_interval": "15s", "max_elapsed_time": "0s"}
# Of the reader of log files. A queue whose disk is full refuses lines, also if it waits for room. They stay in their files.
READER_RETRIES: dict[str, Any] = {"enabled": True, "max_interval": "5s", "max_elapsed_time": "0s"}
# Whether a full queue lets its sender wait. Lines wait in their files. Scrapes that wait are not made, and nothing counts
# them: refused, they are counted.
WAITS_FOR_ROOM: Mapping[Api, bool] = {"loki": True, "cortex": False}
# A file that was larger gives its space back once its queue is empty. Smaller ones would do so after each large scrape.
KEPT_FILE_MEBIBYTES = 1024
KEPT_DATA_MEBIBYTES = 10  # in the queue at that time, which are copied
# Of the queues' own metrics, and of others that the Collector writes at its level `detailed`.
QUEUES_METER, HTTP_METER, PROCESSORS_METER, PIPELINES_METER = (
    "go.opentelemetry.io/collector/exporter/exporterhelper",
    "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp",
    "go.opentelemetry.io/collector/processor/processorhelper",
    "go.opentelemetry.io/collector/service",
)


def sending_queue(api: Api, queues: CollectorQueues) -> dict[str, Any]:
    """Return the queue of an exporter to a tenant's back end."""
    return {
        "storage": STORAGE,
        "sizer": "bytes",
        "queue_size": queues.size(api),
        "block_on_overflow": WAITS_FOR_ROOM[api],
        "num_consumers": 1,  # several would send a series' samples out of order
        "batch": {"flush_timeout": f"{BATCH_SECONDS}s", "min_size": BATCH_BYTES // 4, "max_size": BATCH_BYTES},
    }


def exporter(api: Api, queues: CollectorQueues) -> dict[str, Any]:
    """Return an exporter to a back end of the system tenant: no token, since its network policy admits the collectors."""
    return {
        "endpoint": f"http://{api}.{namespace(SYSTEM)}.svc.cluster.local{PATHS[api]}",
        "headers": {"X-Scope-OrgID": SYSTEM},
        "timeout": TIMEOUT,
        # An open connection would reach a Cortex that stops. It answers 500 then, which is not tried again. A new one finds no
        # Service, because Cortex waits before it stops (components/tenant/back_ends/backend.py).
        "disable_keep_alives": True,
        "retry_on_failure": RETRIES,
        "sending_queue": sending_queue(api, queues),
    }


def extensions() -> dict[str, Any]:
    """Return the extensions: the readiness probe's port, and the store of the queue and of the log files' offsets."""
    return {
        HEALTH: {"endpoint": f"{EVERY_ADDRESS}:{HEALTH_PORT}"},
        STORAGE: {"directory": QUEUE_FOLDER, "fsync": True, "timeout": "10s", "compaction": compaction(QUEUE_FOLDER)},
    }


def compaction(folder: str) -> dict[str, Any]:
    """Return how the files of the queues in a folder give space back after an outage."""
    return {
        "on_rebound": True,
        "directory": folder,
        "cleanup_on_start": True,  # of a copy that a crash left
        "rebound_needed_threshold_mib": KEPT_FILE_MEBIBYTES,
        "rebound_trigger_threshold_mib": KEPT_DATA_MEBIBYTES,
    }


def telemetry() -> dict[str, Any]:
    """Return the Collector's own metrics, on loopback, where its own job scrapes them."""
    exporter = {"prometheus": {"host": "127.0.0.1", "port": OWN_METRICS_PORT}}
    return {"metrics": {"readers": [{"pull": {"exporter": exporter}}]}}


def _view(meter: str, instrument: str, **stream: Any) -> dict[str, Any]:
    """Return what becomes of the metrics of a name, which may have wildcards."""
    return {"selector": {"meter_name": meter, "instrument_name": instrument}, "stream": stream}


def _views() -> list[dict[str, Any]]:
    """Return the views for the level `detailed`: the metrics of the level `normal`, and the bytes that the queues took.

    The rules tell by these bytes how old a line in the queue is. The Collector names them those of batches that were sent, but
    counts what is put into the queue (Collector 0.149, exporterhelper/internal/queue/obs_queue.go). The others leave out what
    the level `normal` leaves out (service/internal/metricviews/views.go).
    """
    nothing: dict[str, Any] = {"aggregation": {"drop": {}}}
    return [
        _view(QUEUES_METER, "otelcol_exporter_queue_batch_send_size_bytes", aggregation={"sum": {}}),
        _view(QUEUES_METER, "otelcol_exporter_queue_batch_send_size", **nothing),
        _view(
            QUEUES_METER,
            "otelcol_exporter_send_failed_*",
            attribute_keys={"excluded": ["error.type", "error.permanent"]},
        ),
        _view(HTTP_METER, "*", **nothing),
        _view(PROCESSORS_METER, "otelcol_processor_internal_duration", **nothing),
        *(_view(PIPELINES_METER, f"otelcol.*.{name}.size", **nothing) for name in ("consumed", "produced")),
    ]


def service(pipelines: dict[str, Any]) -> dict[str, Any]:
    """Return the `service` block."""
    metrics = telemetry()["metrics"] | {"level": "detailed", "views": _views()}
    return {"extensions": [HEALTH, STORAGE], "telemetry": {"metrics": metrics}, "pipelines": pipelines}
