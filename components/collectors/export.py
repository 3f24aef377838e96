"""How the collectors send to the system tenant, and how they keep what they cannot send yet.

The queue is on the node's disk, and written with fsync: neither the end of the process nor that of the node loses what is
in it. Batches are made when the queue is read. The batch processor would hold data in memory alone
(open-telemetry/opentelemetry-collector#12711).
"""

from typing import Any

from components.collectors.settings import HEALTH_PORT, OWN_METRICS_PORT, QUEUE_FOLDER
from components.core.names import SYSTEM, Api, namespace

STORAGE = "file_storage"
HEALTH = "health_check"
EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 the network policy admits nobody; the kubelet probes from the node
PATHS: dict[Api, str] = {"cortex": "/api/v1/otlp", "loki": "/otlp"}
# Of each signal: 15 minutes of 1,000 lines/s with 550 bytes each, attributes included.
QUEUE_BYTES = 512 * 2**20
BATCH_BYTES = 2**20  # below the largest push that the back ends take
BATCH_SECONDS = 1
TIMEOUT = "30s"
# Without end: the default gives up, and drops, after five minutes.
RETRIES: dict[str, Any] = {"initial_interval": "1s", "max_interval": "15s", "max_elapsed_time": "0s"}
QUEUE: dict[str, Any] = {
    "storage": STORAGE,
    "sizer": "bytes",
    "queue_size": QUEUE_BYTES,
    # The default drops what does not fit. Blocked, the collector stops reading the log files, which stay.
    "block_on_overflow": True,
    "num_consumers": 1,  # several would send a series' samples out of order
    "batch": {"flush_timeout": f"{BATCH_SECONDS}s", "min_size": BATCH_BYTES // 4, "max_size": BATCH_BYTES},
}


def exporter(api: Api) -> dict[str, Any]:
    """Return an exporter to a back end of the system tenant: no token, since its network policy admits the collectors."""
    return {
        "endpoint": f"http://{api}.{namespace(SYSTEM)}.svc.cluster.local{PATHS[api]}",
        "headers": {"X-Scope-OrgID": SYSTEM},
        "timeout": TIMEOUT,
        # An open connection would reach a Cortex that stops. It answers 500 then, which is not tried again. A new one finds no
        # Service, because Cortex waits before it stops (components/tenant/back_ends/backend.py).
        "disable_keep_alives": True,
        "retry_on_failure": RETRIES,
        # What does not fit is refused, and counted. The reader of log files tries it again without end, and meanwhile the
        # lines stay in the files. A scrape is lost, as it would be if the scrapes waited; that would count nothing.
        "sending_queue": QUEUE | {"block_on_overflow": False},
    }


def extensions() -> dict[str, Any]:
    """Return the extensions: the readiness probe's port, and the store of the queue and of the log files' offsets."""
    return {
        HEALTH: {"endpoint": f"{EVERY_ADDRESS}:{HEALTH_PORT}"},
        STORAGE: {"directory": QUEUE_FOLDER, "fsync": True, "timeout": "10s"},
    }


def telemetry() -> dict[str, Any]:
    """Return the Collector's own metrics, on loopback, where its own job scrapes them."""
    exporter = {"prometheus": {"host": "127.0.0.1", "port": OWN_METRICS_PORT}}
    return {"metrics": {"readers": [{"pull": {"exporter": exporter}}]}}


def service(pipelines: dict[str, Any]) -> dict[str, Any]:
    """Return the `service` block."""
    return {"extensions": [HEALTH, STORAGE], "telemetry": telemetry(), "pipelines": pipelines}
