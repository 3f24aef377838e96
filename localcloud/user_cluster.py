"""A cluster that the user names by its context: how it is inspected and recorded."""

import ipaddress
import json
import os
import socket
from dataclasses import asdict
from http import HTTPStatus
from pathlib import Path
from typing import Any

import kubernetes
import urllib3
import yaml

from localcloud.errors import LocalCloudError
from localcloud.files import write_whole
from localcloud.settings import Settings, UserCluster

ANSWER_SECONDS = 5
ISSUER_PATH = "/.well-known/openid-configuration"  # kubernetes.io, 'Service account issuer discovery'
KEYS_PATH = "/openid/v1/jwks"


def kubeconfig(settings: Settings) -> str:
    """Return the user's own KUBECONFIG, without the file that the embedded cloud adds to it."""
    paths = [Path(part).expanduser().absolute() for part in os.environ.get("KUBECONFIG", "").split(":") if part]
    others = [str(path) for path in paths if path != settings.kubeconfig.absolute()]
    return ":".join(others) or str(Path.home() / ".kube" / "config")


def find(context: str, kubeconfig: str, address: str | None) -> UserCluster:
    """Return the cluster of `context`.

    `address` is this machine's address for the cluster's pods; None selects the address from which this machine reaches
    the nodes. Raises `LocalCloudError` where the context is unknown, the cluster does not answer or refuses the user.
    Raises it too where no node suits the load balancer, or pods cannot reach `address`.
    """
    if address:
        _require_reachable(address)
    server, nodes, issuer, keys = _inspect(context, kubeconfig)
    addresses = sorted(internal for node in nodes if (internal := _internal_address(node)))
    if not addresses:
        raise LocalCloudError(
            f"no node of the cluster of the context {context} is ready with an IPv4 address (InternalIP) for the load "
            "balancer; `kubectl get nodes -o wide` shows the nodes"
        )
    return UserCluster(context, kubeconfig, server, issuer, addresses, address or local_address(addresses[0]), keys)


def remember(settings: Settings) -> None:
    """Record the cluster in the cloud's home, with a kubeconfig that only selects the context."""
    if not settings.user_cluster:
        raise ValueError("these settings have no cluster of the user")
    selection = {"apiVersion": "v1", "kind": "Config", "current-context": settings.context}
    write_whole(settings.kubeconfig, json.dumps(selection, indent=2), 0o600)
    write_whole(settings.user_cluster_file, json.dumps(asdict(settings.user_cluster), indent=2), 0o600)


def local_address(target: str) -> str:
    """Return the address from which this machine sends to `target`; raises `LocalCloudError` where it has no route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((target, 9))  # sends nothing: for a UDP socket the kernel only looks up the route
        except OSError as error:
            raise LocalCloudError(
                f"this machine has no route to the cluster's node {target}: {error}; connect it to the node's network"
            ) from error
        address = str(probe.getsockname()[0])
    _require_reachable(address)
    return address


def _require_reachable(address: str) -> None:
    try:
        parsed = ipaddress.IPv4Address(address)
    except ValueError as error:
        raise LocalCloudError(f"--address {address!r} is no IPv4 address; give one such as 192.0.2.1") from error
    if parsed.is_loopback or parsed.is_unspecified:
        raise LocalCloudError(
            f"the cluster's pods cannot reach this machine at {address}; give another of its addresses by --address"
        )


def _inspect(context: str, kubeconfig: str) -> tuple[str, list[Any], str, list[dict[str, Any]]]:
    """Return the URL, the nodes, the token issuer and the issuer's public keys of a cluster; raises `LocalCloudError`."""
    remedy = f"`kubectl --context {context} get nodes` must work in this shell first"
    try:
        load: Any = kubernetes.config.new_client_from_config
        api = load(kubeconfig, context)
        api.rest_client.pool_manager.connection_pool_kw["retries"] = False
        nodes = kubernetes.client.CoreV1Api(api).list_node(_request_timeout=ANSWER_SECONDS).items
        answer: Any = kubernetes.client.WellKnownApi(api).get_service_account_issuer_open_id_configuration(
            _request_timeout=ANSWER_SECONDS, _preload_content=False
        )
        keys: Any = kubernetes.client.OpenidApi(api).get_service_account_issuer_open_id_keyset(
            _request_timeout=ANSWER_SECONDS, _preload_content=False
        )
        issuer = str(json.loads(answer.data)["issuer"])
        return api.configuration.host, nodes, issuer, list(json.loads(keys.data)["keys"])
    except (kubernetes.config.ConfigException, yaml.YAMLError) as error:
        raise LocalCloudError(f"the context {context} is not in {kubeconfig}: {error}; {remedy}") from error
    except kubernetes.client.ApiException as error:
        cause = (
            f"you need read access to nodes, {ISSUER_PATH} and {KEYS_PATH}"
            if error.status == HTTPStatus.FORBIDDEN
            else "it does not accept the credentials of the context"
        )
        raise LocalCloudError(
            f"the cluster of the context {context} refuses the request: {error.reason}; {cause}; {remedy}"
        ) from error
    except urllib3.exceptions.HTTPError as error:
        raise LocalCloudError(f"the cluster of the context {context} does not answer: {error}; {remedy}") from error


def _internal_address(node: Any) -> str | None:
    """Return the IPv4 address of a node inside the cluster, None where it has none or the node is not ready."""
    if not any(entry.type == "Ready" and entry.status == "True" for entry in node.status.conditions or []):
        return None
    internal = [entry.address for entry in node.status.addresses or [] if entry.type == "InternalIP"]
    return next((address for address in internal if ":" not in address), None)
