"""Which data of an integration has arrived, by queries of the tenant's back ends."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from components.core.errors import UserError
from components.core.names import namespace
from scripts.clients.back_ends import API_OF_KIND, ask_json, pod_of
from scripts.integrations.attempt import LONGEST_ANSWER
from scripts.integrations.integration import LABEL, Kind
from scripts.integrations.probe_bodies import JOB, METRIC

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.clients.gateway.client import GatewayClient
    from scripts.clients.kubernetes import Cluster

RECENT_SECONDS = 300
MOST_LINES = 100
OK = 200


class Reader(ABC):
    """Reads the data of one integration."""

    def __init__(self, integration: str) -> None:
        self._id = integration
        self._refusal = ""

    def in_words(self) -> str:
        """Return why the last query returned nothing, behind a semicolon; "" if it was answered."""
        return self._refusal and f"; {self._refusal}"

    @abstractmethod
    def _ask(self, kind: Kind, path: str) -> Any:
        """Return the JSON of an answer; None for an answer other than 200."""

    def count(self, kind: Kind) -> int:
        """Return the number of series, or of lines of the last minutes, that the client itself has sent."""
        if kind == "metrics":
            return self._series(f'count({{{LABEL}="{self._id}",__name__!="{METRIC}"}})')
        # By OTLP, the id is structured metadata, which only a filter behind the selector finds.
        selectors = (
            f'{{{LABEL}="{self._id}",job!="{JOB}"}}',
            f'{{service_name=~".+"}} | {LABEL}=`{self._id}` | job!=`{JOB}`',
        )
        return next((lines for selector in selectors if (lines := self._lines(selector))), 0)

    def has_probe(self, kind: Kind) -> bool:
        """Tell whether queries return the probe."""
        if kind == "metrics":
            return self._series(f'count({METRIC}{{{LABEL}="{self._id}"}})') > 0
        return self._lines(f'{{{LABEL}="{self._id}",job="{JOB}"}}') > 0

    def _series(self, expression: str) -> int:
        answer = self._ask("metrics", f"/api/v1/query?{urlencode({'query': expression})}")
        return int(float(result[0]["value"][1])) if (result := _result(answer)) else 0

    def _lines(self, selector: str) -> int:
        start = time.time_ns() - RECENT_SECONDS * 10**9
        query = urlencode({"query": selector, "start": start, "limit": MOST_LINES})
        answer = self._ask("logs", f"/loki/api/v1/query_range?{query}")
        return sum(len(stream["values"]) for stream in _result(answer))


def _result(answer: Any) -> list[Any]:
    return [] if answer is None else list(answer["data"]["result"])


class ByGateway(Reader):
    """Reads through the gateway, with a token that may read."""

    def __init__(self, integration: str, client: GatewayClient, urls: Mapping[Kind, str]) -> None:
        super().__init__(integration)
        self._client, self._urls = client, urls

    def _ask(self, kind: Kind, path: str) -> Any:
        try:
            status, text = self._client.request("GET", f"{self._urls[kind]}{path}")
        except UserError as error:  # the next query may get an answer
            self._refusal = f"the last query got none: {error}"
            return None
        self._refusal = "" if status == OK else f"the last query was answered {status}: {text.strip()[:LONGEST_ANSWER]}"
        return json.loads(text) if status == OK else None


class ByCluster(Reader):
    """Reads through the Kubernetes API, as an administrator of the instance. No token is needed.

    Raises `UserError` where the cluster does not answer, or where it does not have the tenant.
    """

    def __init__(self, integration: str, cluster: Cluster, tenant: str) -> None:
        super().__init__(integration)
        self._cluster, self._tenant = cluster, tenant
        if cluster.get("v1", "Namespace", namespace(tenant)) is None:
            raise UserError(
                f"the cluster has no namespace {namespace(tenant)}: apply the tenant {tenant} with `pulumi up`"
            )

    def _ask(self, kind: Kind, path: str) -> Any:
        answer = ask_json(self._cluster, self._tenant, kind, path)
        self._refusal = "" if answer is not None else f"{pod_of(API_OF_KIND[kind])} does not answer the query with 200"
        return answer
