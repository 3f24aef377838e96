"""The Kubernetes cluster, as the command itself speaks to it."""

from collections.abc import Mapping
from typing import Any

import kubernetes
import urllib3

from components.config import StackConfig
from components.errors import UserError

ANSWER_SECONDS = 5
NOT_FOUND = 404


class Cluster:
    """One cluster, by the kubeconfig of `environment` and the context of `config`."""

    def __init__(self, environment: Mapping[str, str], config: StackConfig) -> None:
        self._kubeconfig = environment.get("KUBECONFIG") or None
        self._context = config.cluster.context
        self._client: Any = None

    def labels(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> dict[str, str] | None:
        """Return an object's labels, None where there is no such object.

        Raises `UserError` where the cluster is not known, does not answer, or refuses the caller.
        """
        named = f"the context {self._context}" if self._context else "the current context"
        option = f" --context {self._context}" if self._context else ""
        remedy = f"`kubectl{option} get namespaces` must work in this shell first"
        try:
            found = self._resource(api_version, kind).get(
                name=name, namespace=namespace, _request_timeout=ANSWER_SECONDS
            )
        except kubernetes.config.ConfigException as error:
            raise UserError(f"no cluster is known by {named} of the kubeconfig: {error}; {remedy}") from error
        except kubernetes.client.ApiException as error:
            if error.status == NOT_FOUND:
                return None
            raise UserError(f"the cluster of {named} refuses the caller: {error.reason}; {remedy}") from error
        except urllib3.exceptions.HTTPError as error:
            raise UserError(f"the cluster of {named} does not answer: {error}; {remedy}") from error
        return dict(found.to_dict()["metadata"].get("labels") or {})

    def _resource(self, api_version: str, kind: str) -> Any:
        if self._client is None:
            load: Any = kubernetes.config.new_client_from_config
            api = load(self._kubeconfig, self._context)
            api.rest_client.pool_manager.connection_pool_kw["retries"] = False
            dynamic: Any = kubernetes.dynamic.DynamicClient
            self._client = dynamic(api)
        return self._client.resources.get(api_version=api_version, kind=kind)
