"""The Kubernetes API, generically: any kind that the API server knows, by server-side apply."""

import json
from typing import Any
from urllib.parse import quote, urlencode

import urllib3
import yaml

from localcloud.plugins.provider import ANSWER_SECONDS, ProviderError

FIELD_MANAGER = "pulumi-kubernetes"
NOT_FOUND = 404
CONFLICT = 409
RETRIES = urllib3.Retry(
    total=5, backoff_factor=0.3, backoff_jitter=0.3, status_forcelist=[429, 500, 503], allowed_methods=None
)


class ApiError(ProviderError):
    """The API server refused a request; `code` is the HTTP status."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class KubernetesApi:
    """One cluster, by kubeconfig. Objects are plain dicts in the API's own form."""

    def __init__(self, kubeconfig: str | None, context: str | None) -> None:
        from kubernetes import config  # takes longer than all else here; an update without changes asks no cluster

        try:
            if kubeconfig and kubeconfig.lstrip().startswith(("{", "apiVersion")):
                loaded = config.new_client_from_config_dict(yaml.safe_load(kubeconfig), context=context)
            else:
                loaded = config.new_client_from_config(config_file=kubeconfig, context=context)
        except config.ConfigException as error:
            raise ProviderError(
                f"kubeconfig {kubeconfig or '(default)'}, context {context or '(current)'}: {error}"
            ) from error
        self._client = loaded
        self._pool = loaded.rest_client.pool_manager
        self._kinds: dict[tuple[str, str], tuple[str, bool]] = {}

    def request(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        """Return the decoded answer; raises `ApiError` on a refusal, `ProviderError` where nobody answers."""
        headers: dict[str, str] = {"Content-Type": content_type, "Accept": "application/json"}
        self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = self._client.configuration.host + path
        data = json.dumps(body).encode() if body is not None else None
        try:
            answer = self._pool.request(
                method, url, body=data, headers=headers, retries=RETRIES, timeout=ANSWER_SECONDS
            )
        except urllib3.exceptions.HTTPError as error:
            raise ProviderError(
                f"the Kubernetes API at {self._client.configuration.host} does not answer: {error}"
            ) from error
        decoded = json.loads(answer.data) if answer.data else {}
        if answer.status >= 400:
            raise ApiError(answer.status, decoded.get("message", answer.data.decode(errors="replace")))
        return decoded

    def _kind(self, api_version: str, kind: str) -> tuple[str, bool]:
        key = (api_version, kind)
        if key not in self._kinds:
            root = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
            try:
                resources = self.request("GET", root)["resources"]
            except ApiError as error:
                raise ProviderError(f"this cluster has no API {api_version}, which {kind} needs: {error}") from error
            for resource in resources:
                if "/" not in resource["name"]:
                    self._kinds[(api_version, resource["kind"])] = (
                        f"{root}|{resource['name']}",
                        resource["namespaced"],
                    )
        if key not in self._kinds:
            raise ProviderError(f"this cluster has no {kind} in {api_version}")
        return self._kinds[key]

    def is_namespaced(self, api_version: str, kind: str) -> bool:
        """Tell whether objects of this kind live in a namespace."""
        return self._kind(api_version, kind)[1]

    def path(self, api_version: str, kind: str, namespace: str, name: str) -> str:
        """Return the URL path of an object."""
        root, plural = self._kind(api_version, kind)[0].split("|")
        scope = f"/namespaces/{quote(namespace)}" if self.is_namespaced(api_version, kind) else ""
        return f"{root}{scope}/{plural}/{quote(name)}"

    def get(self, path: str) -> dict[str, Any] | None:
        """Return the object at `path`, None where there is none."""
        try:
            found: dict[str, Any] = self.request("GET", path)
            return found
        except ApiError as error:
            if error.code == NOT_FOUND:
                return None
            raise

    def apply(self, path: str, manifest: dict[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Apply `manifest` server-side as the one owner of its fields; return the object."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true"} | ({"dryRun": "All"} if dry_run else {})
        applied: dict[str, Any] = self.request(
            "PATCH", f"{path}?{urlencode(query)}", manifest, "application/apply-patch+yaml"
        )
        return applied

    def delete(self, path: str) -> bool:
        """Ask for the object's deletion, its dependents first; return False where it is gone already."""
        try:
            self.request(
                "DELETE", path, {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground"}
            )
        except ApiError as error:
            if error.code == NOT_FOUND:
                return False
            raise
        return True

    def list(self, path: str, **query: str) -> list[dict[str, Any]]:
        """Return the objects of the collection at `path`."""
        found: list[dict[str, Any]] = self.request("GET", f"{path}?{urlencode(query)}")["items"]
        return found
