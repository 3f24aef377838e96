"""A client of the Kubernetes cluster, for reading, and for probes that create pods and delete them again."""

import contextlib
import http.client
import json
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

import kubernetes
import kubernetes.stream
import urllib3

from components.config.stack import StackConfig
from components.core.errors import UserError

# Retries are safe: urllib3 does not repeat a POST that the server may have received. There is one retry for connections, so that a cluster that is down
# is reported soon.
RETRIES = urllib3.Retry(
    3,
    connect=1,
    backoff_factor=0.3,
    backoff_jitter=0.3,
    status_forcelist=(429, 500, 502, 503, 504),
    raise_on_status=False,
)
ANSWER_SECONDS = 5
ISSUER_PATH = "/.well-known/openid-configuration"  # kubernetes.io, 'Service account issuer discovery'
METADATA_ALONE = (
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"  # kubernetes.io, 'Kubernetes API Concepts'
)
OK, NOT_FOUND = 200, 404
KINDS = {
    "csidrivers": ("CSIDriver", "storage.k8s.io/v1"),
    "events": ("Event", "v1"),
    "persistentvolumeclaims": ("PersistentVolumeClaim", "v1"),
    "pods": ("Pod", "v1"),
    "replicasets": ("ReplicaSet", "apps/v1"),
    "storageclasses": ("StorageClass", "storage.k8s.io/v1"),
}
# The library caches the API's kinds in a file of the shared temporary folder. There, other users could change it, and it
# outlives kinds that are removed. No file can be below this path.
NO_CACHE = f"{os.devnull}/none"
SELECTORS = {"labelSelector": "label_selector", "fieldSelector": "field_selector"}


class Cluster:
    """The cluster of the kubeconfig in `environment` and the context in `config`. Threads may share it."""

    def __init__(self, environment: Mapping[str, str], config: StackConfig) -> None:
        self._kubeconfig = environment.get("KUBECONFIG") or None
        self.context = config.cluster.context
        self.config = config
        self._client: Any = None
        self._lock = threading.Lock()  # one thread at a time asks for the API's kinds

    def labels(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> dict[str, str] | None:
        """Return an object's labels, None if it does not exist; raises as `get` does."""
        content = self.get(api_version, kind, name, namespace)
        return None if content is None else dict(content["metadata"].get("labels") or {})

    def read(self, path: str) -> Any:
        """Return the JSON answer of a path of the API server, such as `/version`, None if there is none; raises as `get` does."""

        def read() -> Any:
            return self._connected().request("get", path, serialize=False, _request_timeout=ANSWER_SECONDS)

        answer = self._answer(read, f"get --raw {path}")
        return None if answer is None else json.loads(answer.data)

    def nodes(self) -> list[dict[str, Any]]:
        """Return the nodes of the cluster; raises as `get` does."""
        return list(self._request("v1", "Node").to_dict()["items"])

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        """Return an object, None if it does not exist.

        Raises `UserError` if the kubeconfig has no such cluster, or if the cluster does not answer or refuses access.
        """
        instance = self._request(api_version, kind, name=name, namespace=namespace)
        return None if instance is None else dict(instance.to_dict())

    def pods(self, namespace: str, labels: Mapping[str, str]) -> list[str]:
        """Return the names of the running pods with these labels; raises as `get` does."""
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        answer = self._request("v1", "Pod", namespace=namespace, label_selector=selector)
        pods = [] if answer is None else answer.to_dict()["items"]
        running = [pod for pod in pods if pod["status"].get("phase") == "Running"]
        return sorted(pod["metadata"]["name"] for pod in running if "deletionTimestamp" not in pod["metadata"])

    def objects(self, kind: str, namespace: str | None, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the objects of a plural kind in a namespace, None for kinds without one; `query` has selectors.

        Raises as `get` does.
        """
        name, version = KINDS[kind]
        selectors = {SELECTORS[selector]: value for selector, value in query.items()}
        answer = self._request(version, name, namespace=namespace, **selectors)
        return [] if answer is None else list(answer.to_dict()["items"])

    def issuer(self) -> str:
        """Return the issuer of the cluster's service account tokens; raises as `get` does."""

        def read() -> Any:
            api = kubernetes.client.WellKnownApi(self._connected().client)
            return api.get_service_account_issuer_open_id_configuration(
                _preload_content=False, _request_timeout=ANSWER_SECONDS
            )

        answer = self._answer(read, f"get --raw {ISSUER_PATH}")
        if answer is None:
            raise UserError(
                f"the cluster of {self.where} does not tell the issuer of its service account tokens "
                f"({ISSUER_PATH}), so AWS cannot trust its pods; use a cluster that does, as EKS does"
            )
        return str(json.loads(answer.data)["issuer"])

    def has_object(self, plural: str, name: str, namespace: str | None = None) -> bool:
        """Tell whether an object of the core group exists, without reading what it holds; raises as `get` does."""
        path = f"/api/v1/{f'namespaces/{namespace}/' if namespace else ''}{plural}/{name}"

        def read() -> Any:
            headers = {"Accept": METADATA_ALONE}
            return self._connected().request(
                "get", path, serialize=False, header_params=headers, _request_timeout=ANSWER_SECONDS
            )

        return self._answer(read, f"get --raw {path}") is not None

    def has_kind(self, api_version: str, kind: str) -> bool:
        """Tell whether the cluster has a kind of objects, also by a CustomResourceDefinition; raises as `get` does."""
        return self._answer(lambda: self._resource(api_version, kind), "api-resources") is not None

    def create(self, manifest: Mapping[str, Any]) -> None:
        """Create an object of a probe; raises `UserError` if the cluster refuses, also if the object exists."""
        namespace = manifest["metadata"].get("namespace")
        self._request(manifest["apiVersion"], manifest["kind"], "create", body=manifest, namespace=namespace)

    def delete(self, api_version: str, kind: str, name: str) -> None:
        """Request the deletion of an object without a namespace; a missing one is no error. Raises as `get` does."""
        self._request(api_version, kind, "delete", name=name)

    def _request(self, api_version: str, kind: str, verb: str = "get", **arguments: Any) -> Any:
        def request() -> Any:
            return getattr(self._resource(api_version, kind), verb)(**arguments, _request_timeout=ANSWER_SECONDS)

        return self._answer(request, "get namespaces")

    @property
    def where(self) -> str:
        """The context of the kubeconfig, in words."""
        return f"the context {self.context}" if self.context else "the current context"

    def _answer(self, request: Callable[[], Any], command: str) -> Any:
        """Return the cluster's answer to a request, None if there is nothing at its path, or no such kind of objects.

        Raises `UserError` for any other refusal. `command` is the command of kubectl that must work.
        """
        option = f" --context {self.context}" if self.context else ""
        remedy = f"`kubectl{option} {command}` must work in this shell first"
        try:
            return request()
        except kubernetes.config.ConfigException as error:
            raise UserError(f"the kubeconfig names no cluster for {self.where}: {error}; {remedy}") from error
        except kubernetes.dynamic.exceptions.ResourceNotFoundError:
            return None
        except kubernetes.client.ApiException as error:
            if error.status == NOT_FOUND:
                return None
            raise UserError(f"the cluster of {self.where} refuses access: {error.reason}; {remedy}") from error
        except urllib3.exceptions.HTTPError as error:
            raise UserError(f"the cluster of {self.where} does not answer: {error}; {remedy}") from error

    def ask(self, namespace: str, pod: str, port: int, path: str, headers: Mapping[str, str]) -> str | None:
        """Return a pod's answer to a GET, None if the status is not 200 or there is no answer.

        The request goes through the API server's port forwarding, which no network policy has to allow.
        """
        # The library changes its client while it forwards, so this request gets its own. Other threads use the shared one.
        core = kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(self._connected().configuration))
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
        client = self._connected()
        prefix = "apis" if "/" in api_version else "api"  # or the library asks for version v1 of every group
        with self._lock:
            return client.resources.get(prefix=prefix, api_version=api_version, kind=kind)

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                load: Any = kubernetes.config.new_client_from_config
                api = load(self._kubeconfig, self.context)
                api.rest_client.pool_manager.connection_pool_kw["retries"] = RETRIES
                dynamic: Any = kubernetes.dynamic.DynamicClient
                self._client = dynamic(api, cache_file=NO_CACHE)
            return self._client
