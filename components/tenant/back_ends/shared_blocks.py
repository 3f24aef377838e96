"""The blocks that the configurations of Cortex and Loki share."""

from typing import Any

from components.config.base import endpoint_host
from components.config.stack import AWS_HOSTS
from components.core.names import ALERTMANAGER, ALERTMANAGER_PATH
from components.core.recorded_retention import RUNTIME_KEY
from components.tenant.back_ends.store import StoreArgs

CONFIG_FOLDER = "/etc/opstrace"
RUNTIME_FILE = f"{CONFIG_FOLDER}/{RUNTIME_KEY}"
RUNTIME_SECONDS = 10
GOSSIP_PORT = 7946
ANSWER_SECONDS = 310  # a little longer than the timeout of the gateway
POLL_AT_AWS = "5m"  # 0.04 USD a month for each program that polls; 0.22 USD at a minute
POLL_ELSEWHERE = "15s"  # requests are free, and local tests of rules are short
MESSAGE_BYTES = 100 << 20  # for a large push or query result; the default is 4 MiB, less than clients may send


def server(http_port: int, grpc_port: int) -> dict[str, Any]:
    """Return the `server` block, which Cortex and Loki share."""
    return {
        "http_listen_port": http_port,
        "grpc_listen_port": grpc_port,
        "log_level": "warn",
        "http_server_read_timeout": f"{ANSWER_SECONDS}s",
        "http_server_write_timeout": f"{ANSWER_SECONDS}s",
        "grpc_server_max_recv_msg_size": MESSAGE_BYTES,
        "grpc_server_max_send_msg_size": MESSAGE_BYTES,
    }


def runtime_config() -> dict[str, Any]:
    """Return the `runtime_config` block: the file that the running back end reads again every few seconds."""
    return {"file": RUNTIME_FILE, "period": f"{RUNTIME_SECONDS}s"}


def ring_store(store: StoreArgs) -> dict[str, Any]:
    """Return the `kvstore` of a ring: in memory for one pod, gossip for several."""
    return {"store": "inmemory" if store.settings.pods().replicas == 1 else "memberlist"}


def memberlist(program: str, store: StoreArgs) -> dict[str, Any]:
    """Return the `memberlist` block, by which the pods of a back end find each other; empty for one pod."""
    if store.settings.pods().replicas == 1:
        return {}
    # The name resolves to all pods, ready or not. Pods that start at the same time find each other at the next attempt.
    settings = {"join_members": [f"dns+{gossip_name(program)}:{GOSSIP_PORT}"], "bind_port": GOSSIP_PORT}
    return {"memberlist": settings | {"rejoin_interval": "5s", "abort_if_cluster_join_fails": False}}


def rule_poll(store: StoreArgs) -> dict[str, str]:
    """Return the part of a block that says how often the program looks for changed rules or configurations.

    Neither Cortex nor Loki loads what its own API writes before that.
    """
    host = endpoint_host(store.aws.endpoints.get("s3", ""))
    default = POLL_ELSEWHERE if host and not host.endswith(AWS_HOSTS) else POLL_AT_AWS
    return {"poll_interval": store.settings.rule_poll_interval or default}


def alerts_to(store: StoreArgs) -> dict[str, Any]:
    """Return the part of a `ruler` block that sends alerts to the tenant's Alertmanager; empty if it has none.

    The rulers of Cortex and Loki name the tenant in each request, as an Alertmanager with tenants needs it.
    """
    enabled = store.settings.alertmanager.enabled
    return {"alertmanager_url": f"http://{ALERTMANAGER}{ALERTMANAGER_PATH}"} if enabled else {}


def gossip_name(program: str) -> str:
    """Return the name of the Service whose DNS name resolves to every pod."""
    return f"{program}-gossip"


def ready_after(store: StoreArgs) -> str:
    """Return how long a started pod gets no requests.

    One of several pods first has to learn of the others. Until then it knows too few of them, and refuses writes.
    """
    return "0s" if store.settings.pods().replicas == 1 else "10s"
