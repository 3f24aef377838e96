"""A client for all kinds of objects of the Kubernetes API, by server-side apply."""

import json
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from localcloud.plugins.kubernetes.field_managers import taken_over
from localcloud.plugins.provider import ANSWER_SECONDS, ProviderError

FIELD_MANAGER = "pulumi-kubernetes"
CONFLICT_HELP = (
    "https://www.pulumi.com/registry/packages/kubernetes/how-to-guides/managing-resources-with-server-side-apply/"
    "#handle-field-conflicts-on-existing-resources"
)
NOT_FOUND = HTTPStatus.NOT_FOUND
RETRIES: Any = {"total": 5, "backoff_factor": 0.3, "backoff_jitter": 0.3, "status_forcelist": [429, 500, 503]}


class ApiError(ProviderError):
    """The API server refused a request; `code` is the HTTP status."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class MissingKindError(ProviderError):
    """The cluster does not have a kind of objects, as after its CustomResourceDefinition was deleted."""


class FieldConflictError(ApiError):
    """Another field manager owns a field that an apply without force would change."""

    def __init__(self, text: str) -> None:
        super().__init__(
            HTTPStatus.CONFLICT,
            f"server-side apply field conflict detected, see {CONFLICT_HELP} for troubleshooting help\n"
            f'The resource managed by field manager "{FIELD_MANAGER}" had an apply conflict: {text}',
        )


def _message(refusal: bytes) -> str:
    """Return the text of a refusal: a Status, or plain text where the API server has no such path."""
    text = refusal.decode(errors="replace").strip()
    try:
        return str(json.loads(text).get("message", text))
    except (ValueError, AttributeError):
        return text


class KubernetesApi:
    """One cluster, selected by kubeconfig and context. Objects are dicts in the API's own form."""

    def __init__(self, kubeconfig: str | None, context: str | None) -> None:
        # Imported only where they are used: the imports are slow, and an update without changes needs no cluster.
        import urllib3  # noqa: PLC0415 slow to import, and rarely needed
        import yaml  # noqa: PLC0415 as above
        from kubernetes import config  # noqa: PLC0415 as above

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
        self._retries = urllib3.Retry(**RETRIES, allowed_methods=None)
        self._no_answer = urllib3.exceptions.HTTPError
        self._kinds: dict[tuple[str, str], tuple[str, bool]] = {}

    def request(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        """Return the decoded answer; raises `ApiError` where the API server refuses, `ProviderError` where it does not answer."""
        headers: dict[str, str] = {"Content-Type": content_type, "Accept": "application/json"}
        self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = self._client.configuration.host + path
        data = json.dumps(body).encode() if body is not None else None
        try:
            answer = self._pool.request(
                method, url, body=data, headers=headers, retries=self._retries, timeout=ANSWER_SECONDS
            )
        except self._no_answer as error:
            raise ProviderError(
                f"the Kubernetes API at {self._client.configuration.host} does not answer: {error}"
            ) from error
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise ApiError(answer.status, _message(answer.data))
        return json.loads(answer.data) if answer.data else {}

    def _kind(self, api_version: str, kind: str) -> tuple[str, bool]:
        key = (api_version, kind)
        if key not in self._kinds:
            root = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
            try:
                resources = self.request("GET", root)["resources"]
            except ApiError as error:
                text = f"this cluster has no API {api_version}, which {kind} needs: {error}"
                raise (MissingKindError if error.code == NOT_FOUND else ProviderError)(text) from error
            for resource in resources:
                if "/" not in resource["name"]:
                    self._kinds[(api_version, resource["kind"])] = (
                        f"{root}|{resource['name']}",
                        resource["namespaced"],
                    )
        if key not in self._kinds:
            raise MissingKindError(f"this cluster has no {kind} in {api_version}")
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
            live: dict[str, Any] = self.request("GET", path)
            return live
        except ApiError as error:
            if error.code == NOT_FOUND:
                return None
            raise

    def apply(
        self, path: str, manifest: dict[str, Any], *, force: bool = False, dry_run: bool = False
    ) -> dict[str, Any]:
        """Apply `manifest` server-side; return the object.

        With `force`, fields of other managers are taken over. Without it, they raise `FieldConflictError` if their value
        would change.
        """
        query = {"fieldManager": FIELD_MANAGER, "force": json.dumps(force)} | ({"dryRun": "All"} if dry_run else {})
        try:
            applied: dict[str, Any] = self.request(
                "PATCH", f"{path}?{urlencode(query)}", manifest, "application/apply-patch+yaml"
            )
        except ApiError as error:
            if error.code == HTTPStatus.CONFLICT:
                raise FieldConflictError(str(error)) from error
            raise
        return applied

    def take_over(self, path: str) -> None:
        """Make this client the owner of fields that `kubectl edit` and others own, as the official plugin does."""
        entries = (self.get(path) or {}).get("metadata", {}).get("managedFields", [])
        if taken := taken_over(entries, FIELD_MANAGER):
            patch = [{"op": "replace", "path": "/metadata/managedFields", "value": taken}]
            self.request("PATCH", path, patch, "application/json-patch+json")

    def delete(self, path: str) -> bool:
        """Request the deletion of the object after its dependents; return False where it is gone already."""
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
        items: list[dict[str, Any]] = self.request("GET", f"{path}?{urlencode(query)}")["items"]
        return items
