"""Requests to a tenant's Cortex and Loki through the Kubernetes API, as an administrator of the instance; no token is needed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from components.core.names import PORTS, Api, namespace

if TYPE_CHECKING:
    from scripts.clients.kubernetes import Cluster

Kind = Literal["metrics", "logs"]
API_OF_KIND: dict[Kind, Api] = {"metrics": "cortex", "logs": "loki"}
PROMETHEUS_PREFIX = "/prometheus"  # of Cortex's API for queries


def pod_of(api: Api) -> str:
    """Return the name of the pod that is asked, the first one of several."""
    return f"{api}-0"


def ask_back_end(cluster: Cluster, tenant: str, api: Api, path: str) -> str | None:
    """Return the answer of a tenant's back end to a GET, None where it does not answer 200."""
    return cluster.ask(namespace(tenant), pod_of(api), PORTS[api], path, {"X-Scope-OrgID": tenant})


def ask_json(cluster: Cluster, tenant: str, kind: Kind, path: str) -> Any:
    """Return the JSON answer to a query, None where the back end does not answer 200.

    `path` is the one that clients use, without Cortex's prefix, with the query in it.
    """
    prefix = PROMETHEUS_PREFIX if kind == "metrics" else ""
    text = ask_back_end(cluster, tenant, API_OF_KIND[kind], f"{prefix}{path}")
    return None if text is None else json.loads(text)
