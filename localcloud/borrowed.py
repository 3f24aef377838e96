"""A cluster that the user names by its context: what is asked of it, and remembered."""

import ipaddress
import json
import os
import socket
from dataclasses import asdict
from pathlib import Path
from typing import Any

import kubernetes
import urllib3
import yaml

from localcloud.errors import LocalCloudError
from localcloud.files import write_whole
from localcloud.settings import Borrowed, Settings

ANSWER_SECONDS = 5
ISSUER_PATH = "/.well-known/openid-configuration"  # kubernetes.io, 'Service account issuer discovery'


def kubeconfig(settings: Settings) -> str:
    """Return the caller's own kubeconfig, as KUBECONFIG has it, without the file that the embedded cloud adds."""
    given = [Path(part).expanduser().absolute() for part in os.environ.get("KUBECONFIG", "").split(":") if part]
    others = [str(path) for path in given if path != settings.kubeconfig.absolute()]
    return ":".join(others) or str(Path.home() / ".kube" / "config")


def find(context: str, kubeconfig: str, address: str | None) -> Borrowed:
    """Return the cluster of `context`; `address` is found where it is not given.

    Raises `LocalCloudError` where the cluster is not known, does not answer or refuses the caller, where it
    has no node that could be a target, and where `address` is none that pods could reach.
    """
    if address:
        _require_reachable(address)
    server, nodes, issuer = _ask(context, kubeconfig)
    addresses = sorted(found for node in nodes if (found := _internal_address(node)))
    if not addresses:
        raise LocalCloudError(
            f"no node of the cluster of the context {context} is ready and has an IPv4 address (InternalIP), "
            "but the load balancer needs one; `kubectl get nodes -o wide` shows them"
        )
    return Borrowed(context, kubeconfig, server, issuer, addresses, address or local_address(addresses[0]))


def remember(settings: Settings) -> None:
    """Note the cluster in the cloud's home, with a kubeconfig that holds nothing but the context's name."""
    assert settings.borrowed
    chosen = {"apiVersion": "v1", "kind": "Config", "current-context": settings.context}
    write_whole(settings.kubeconfig, json.dumps(chosen, indent=2), 0o600)
    write_whole(settings.borrowed_file, json.dumps(asdict(settings.borrowed), indent=2), 0o600)


def local_address(target: str) -> str:
    """Return the address of this machine that what it sends to `target` comes from."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((target, 9))  # sends nothing: the kernel only looks up the route
        except OSError as error:
            raise LocalCloudError(f"this machine has no way to the cluster's node {target}: {error}") from error
        found = str(probe.getsockname()[0])
    _require_reachable(found)
    return found


def _require_reachable(address: str) -> None:
    try:
        parsed = ipaddress.IPv4Address(address)
    except ValueError as error:
        raise LocalCloudError(f"{address!r} is no IPv4 address such as 192.0.2.1; --address takes one") from error
    if parsed.is_loopback or parsed.is_unspecified:
        raise LocalCloudError(
            f"the cluster's pods cannot reach this machine at {address}; give another of its addresses (--address)"
        )


def _ask(context: str, kubeconfig: str) -> tuple[str, list[Any], str]:
    """Return URL, nodes and token issuer of a cluster."""
    remedy = f"`kubectl --context {context} get nodes` must work in this shell first"
    try:
        load: Any = kubernetes.config.new_client_from_config
        api = load(kubeconfig, context)
        api.rest_client.pool_manager.connection_pool_kw["retries"] = False
        nodes = kubernetes.client.CoreV1Api(api).list_node(_request_timeout=ANSWER_SECONDS).items
        answer: Any = kubernetes.client.WellKnownApi(api).get_service_account_issuer_open_id_configuration(
            _request_timeout=ANSWER_SECONDS, _preload_content=False
        )
        return api.configuration.host, nodes, str(json.loads(answer.data)["issuer"])
    except (kubernetes.config.ConfigException, yaml.YAMLError) as error:
        raise LocalCloudError(f"the context {context} is not in {kubeconfig}: {error}; {remedy}") from error
    except kubernetes.client.ApiException as error:
        what = f"nodes and {ISSUER_PATH} must be readable" if error.status == 403 else "its credentials are not taken"
        raise LocalCloudError(
            f"the cluster of the context {context} refuses the caller: {error.reason}; {what}: {remedy}"
        ) from error
    except urllib3.exceptions.HTTPError as error:
        raise LocalCloudError(f"the cluster of the context {context} does not answer: {error}; {remedy}") from error


def _internal_address(node: Any) -> str | None:
    """Return the IPv4 address at which the cluster itself reaches a node, None where it has none or is not ready."""
    if not any(entry.type == "Ready" and entry.status == "True" for entry in node.status.conditions or []):
        return None
    found = [entry.address for entry in node.status.addresses or [] if entry.type == "InternalIP"]
    return next((address for address in found if ":" not in address), None)
