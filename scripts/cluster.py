"""The Kubernetes cluster, as the command itself speaks to it."""

import contextlib
import http.client
import threading
from collections.abc import Mapping
from typing import Any

import kubernetes
import kubernetes.stream
import urllib3

from components.config import StackConfig
from components.errors import UserError

# Of questions alone, as all of ours are. A cluster that is not there at all is soon said to be so.
RETRIES = urllib3.Retry(
    3,
    connect=1,
    backoff_factor=0.3,
    backoff_jitter=0.3,
    status_forcelist=(429, 500, 502, 503, 504),
    raise_on_status=False,
)
ANSWER_SECONDS = 5
OK, NOT_FOUND = 200, 404


class Cluster:
    """One cluster, by the kubeconfig of `environment` and the context of `config`; for any thread."""

    def __init__(self, environment: Mapping[str, str], config: StackConfig) -> None:
        self._kubeconfig = environment.get("KUBECONFIG") or None
        self._context = config.cluster.context
        self._client: Any = None
        self._finding = threading.Lock()  # the library keeps a cache, in a file, of which kinds there are

    def labels(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> dict[str, str] | None:
        """Return an object's labels, None where there is no such object; raises as `get` does."""
        found = self.get(api_version, kind, name, namespace)
        return None if found is None else dict(found["metadata"].get("labels") or {})

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        """Return an object, None where there is no such object.

        Raises `UserError` where the cluster is not known, does not answer, or refuses the caller.
        """
        found = self._found(api_version, kind, name=name, namespace=namespace)
        return None if found is None else dict(found.to_dict())

    def pods(self, namespace: str, marks: Mapping[str, str]) -> list[str]:
        """Return the names of the running pods with these labels; raises as `get` does."""
        chosen = ",".join(f"{name}={value}" for name, value in marks.items())
        found = self._found("v1", "Pod", namespace=namespace, label_selector=chosen)
        pods = [] if found is None else found.to_dict()["items"]
        running = [pod for pod in pods if pod["status"].get("phase") == "Running"]
        return sorted(pod["metadata"]["name"] for pod in running if "deletionTimestamp" not in pod["metadata"])

    def _found(self, api_version: str, kind: str, **arguments: str | None) -> Any:
        named = f"the context {self._context}" if self._context else "the current context"
        option = f" --context {self._context}" if self._context else ""
        remedy = f"`kubectl{option} get namespaces` must work in this shell first"
        try:
            return self._resource(api_version, kind).get(**arguments, _request_timeout=ANSWER_SECONDS)
        except kubernetes.config.ConfigException as error:
            raise UserError(f"no cluster is known by {named} of the kubeconfig: {error}; {remedy}") from error
        except kubernetes.client.ApiException as error:
            if error.status == NOT_FOUND:
                return None
            raise UserError(f"the cluster of {named} refuses the caller: {error.reason}; {remedy}") from error
        except urllib3.exceptions.HTTPError as error:
            raise UserError(f"the cluster of {named} does not answer: {error}; {remedy}") from error

    def ask(self, namespace: str, pod: str, port: int, path: str, headers: Mapping[str, str]) -> str | None:
        """Return what a pod answers to a GET, None where it does not answer 200.

        By the API server's port forwarding: that ends in the pod itself, so no network policy has to let it in.
        """
        self._resource("v1", "Namespace")  # connects
        # A client of its own: the library changes it while it forwards, and another thread may be asking.
        core = kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(self._client.configuration))
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        try:
            forwarded = kubernetes.stream.portforward(
                core.connect_get_namespaced_pod_portforward, pod, namespace, ports=str(port)
            )
            with contextlib.closing(forwarded.socket(port)) as connection:
                connection.settimeout(ANSWER_SECONDS)
                connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
                answer = http.client.HTTPResponse(connection)
                answer.begin()
                return answer.read().decode() if answer.status == OK else None
        except (kubernetes.client.ApiException, http.client.HTTPException, OSError):
            return None

    def _resource(self, api_version: str, kind: str) -> Any:
        with self._finding:
            if self._client is None:
                load: Any = kubernetes.config.new_client_from_config
                api = load(self._kubeconfig, self._context)
                api.rest_client.pool_manager.connection_pool_kw["retries"] = RETRIES
                dynamic: Any = kubernetes.dynamic.DynamicClient
                self._client = dynamic(api)
            return self._client.resources.get(api_version=api_version, kind=kind)
