"""Stand-in for the `kubernetes` plugin: every kind of the API, by server-side apply."""

import copy
import os
import re
from typing import Any

from localcloud.plugins.kubernetes_api import KubernetesApi
from localcloud.plugins.kubernetes_await import await_gone, await_ready
from localcloud.plugins.provider import Call, Change, Found, NotReadyError, Properties, ProviderError, main
from localcloud.plugins.values import UNKNOWN, Unknown, changed_paths, has_unknown

# What a change of needs a new object, as the official plugin has it (provider/pkg/provider/forcenew.go).
FORCE_NEW = {
    "ConfigMap": (r"data", r"binaryData", r"immutable"),
    "Deployment": (r"spec\.selector",),
    "Job": (r"spec\.selector", r"spec\.template", r"spec\.completions"),
    "PersistentVolumeClaim": (r"spec\.(?!resources)",),
    "Pod": (r"spec\.(?!containers\[\d+\]\.image|activeDeadlineSeconds|tolerations)",),
    "Secret": (r"data", r"stringData", r"immutable", r"type"),
    "Service": (r"spec\.clusterIP",),
    "StatefulSet": (r"spec\.(podManagementPolicy|selector|serviceName|volumeClaimTemplates|revisionHistoryLimit)",),
    "StorageClass": (r"parameters", r"provisioner", r"reclaimPolicy", r"volumeBindingMode"),
}
IDENTITY = (r"metadata\.name$", r"metadata\.namespace$", r"apiVersion$", r"kind$")
SERVER_METADATA = ("managedFields", "resourceVersion", "generation")


def _set_name(manifest: Properties, name: str, seed: bytes) -> None:
    metadata = manifest.setdefault("metadata", {})
    if not metadata.get("name") and not metadata.get("generateName"):
        metadata["name"] = f"{name[:54].lower()}-{seed.hex()[:8]}"


def _name(manifest: Properties) -> Any:
    # The engine asks what would follow from the deletion of another resource with whole properties unknown.
    metadata = manifest.get("metadata", {})
    return UNKNOWN if isinstance(metadata, Unknown) else metadata.get("name")


def _live_form(found: Properties) -> Properties:
    """Return the object without what the server alone writes, to compare two of them."""
    stripped = copy.deepcopy(found)
    for name in SERVER_METADATA:
        stripped["metadata"].pop(name, None)
    stripped.pop("status", None)
    return stripped


def _projected(wanted: Any, live: Any) -> Any:
    """Return `live`, cut to the fields that `wanted` has."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        return {key: _projected(value, live[key]) for key, value in wanted.items() if key in live}
    if isinstance(wanted, list) and isinstance(live, list) and len(wanted) == len(live):
        return [_projected(*pair) for pair in zip(wanted, live, strict=True)]
    return live


class Kubernetes:
    """One provider resource of the program: one cluster."""

    name = "kubernetes"
    package = "pulumi-kubernetes"
    place: tuple[str, ...] = ("kubeconfig", "context")

    def __init__(self) -> None:
        self._config: Properties = {}
        self._loaded: KubernetesApi | None = None

    def configure(self, config: Properties) -> None:
        """Take `kubeconfig` (path or text), `context`, `namespace`, `enableConfigMapMutable`, `enableSecretMutable`."""
        self._config = config

    @property
    def _api(self) -> KubernetesApi:
        if self._loaded is None:
            kubeconfig = self._config.get("kubeconfig") or os.environ.get("KUBECONFIG")
            context = self._config.get("context")
            if isinstance(kubeconfig, Unknown) or isinstance(context, Unknown):
                raise ProviderError("the cluster is not known before the update")
            self._loaded = KubernetesApi(kubeconfig, context)
        return self._loaded

    def _path(self, manifest: Properties) -> str:
        metadata = manifest["metadata"]
        namespace = metadata.get("namespace") or self._config.get("namespace") or "default"
        return self._api.path(manifest["apiVersion"], manifest["kind"], namespace, metadata["name"])

    @staticmethod
    def _identity(found: Properties) -> str:
        metadata = found["metadata"]
        return f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else metadata["name"]

    def check(
        self, call: Call, old: Properties, new: Properties, seed: bytes
    ) -> tuple[Properties, list[tuple[str, str]]]:
        """Fill in the name, and let the API server judge what is known already."""
        failures = [(key, "is required") for key in ("apiVersion", "kind") if not new.get(key)]
        if failures:
            return new, failures
        inputs = copy.deepcopy(new)
        given = old.get("metadata", {}).get("name")
        if given and not new.get("metadata", {}).get("name"):
            inputs.setdefault("metadata", {})["name"] = given
        _set_name(inputs, call.name, seed)
        return inputs, []

    def diff(self, call: Call, old_inputs: Properties, old_state: Properties, new: Properties) -> Change:
        """Compare the inputs; a changed name, namespace or immutable field makes a new object."""
        paths = changed_paths(old_inputs, new)
        fixed = [*IDENTITY, *FORCE_NEW.get(new["kind"], ())]
        mutable = {"ConfigMap": "enableConfigMapMutable", "Secret": "enableSecretMutable"}.get(new["kind"])
        if mutable and self._config.get(mutable) in (True, "true"):
            fixed = list(IDENTITY)
        replaces = [path for path in paths if any(re.match(pattern, path) for pattern in fixed)]
        return Change(paths, replaces, delete_first=_name(old_inputs) == _name(new))

    def preview(self, call: Call, inputs: Properties, old_state: Properties) -> Properties:
        """Return what the API server would make of it, where all is known and its namespace is there."""
        if not has_unknown(inputs):
            try:
                return self._api.apply(self._path(inputs), inputs, dry_run=True)
            except ProviderError:
                pass  # its namespace is made in the same update, or the cluster is: then the inputs are what is known
        metadata = {"uid": old_state.get("metadata", {}).get("uid", UNKNOWN)} | inputs.get("metadata", {})
        return inputs | {"metadata": metadata, "status": old_state.get("status", UNKNOWN)}

    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """Make the object and wait until it is done; one that is there already is not taken over."""
        path = self._path(inputs)
        present = self._api.get(path)
        if present:
            owner = present["metadata"].get("labels", {}).get("app.kubernetes.io/instance")
            belongs = f" (it belongs to the instance {owner})" if owner else ""
            raise ProviderError(
                f"{inputs['kind']} {self._identity(present)} is there already and was not made by this stack{belongs}; "
                f"`pulumi import {call.type} {call.name} {self._identity(present)}` takes it over, or remove it"
            )
        made = self._api.apply(path, inputs)
        identity = self._identity(made)
        return identity, self._awaited(call, path, identity, inputs)

    def _awaited(self, call: Call, path: str, identity: str, inputs: Properties) -> Properties:
        try:
            found, reasons = await_ready(self._api, path, call.timeout)
        except ProviderError as error:  # the object is there: its id must not be lost
            raise NotReadyError(
                identity, inputs, inputs, [f"{identity} was made, but cannot be watched: {error}"]
            ) from error
        if reasons:
            raise NotReadyError(identity, found, inputs, reasons)
        return found

    def read(self, call: Call, identity: str, inputs: Properties, state: Properties) -> Found | None:
        """Return the live object; its inputs differ from those given where it does not match them any more."""
        namespace, _, name = identity.rpartition("/")
        manifest = inputs or state or self._named(call, namespace, name)
        path = self._api.path(manifest["apiVersion"], manifest["kind"], namespace, name)
        live = self._api.get(path)
        if live is None:
            return None
        if not inputs:
            imported = _live_form(live)
            for server_only in ("uid", "creationTimestamp", "selfLink"):
                imported["metadata"].pop(server_only, None)
            return Found(identity, live, imported)
        # The server's own reading of the inputs is compared: `1000m` and `1` are one quantity to it.
        wanted = self._api.apply(path, inputs, dry_run=True)
        drifted = changed_paths(_live_form(wanted), _live_form(live))
        return Found(identity, live, _projected(inputs, live) if drifted else inputs)

    @staticmethod
    def _named(call: Call, namespace: str, name: str) -> Properties:
        api_version, kind = call.type.removeprefix("kubernetes:").split(":")
        metadata = {"namespace": namespace, "name": name}
        return {"apiVersion": api_version.removeprefix("core/"), "kind": kind, "metadata": metadata}

    def update(
        self, call: Call, identity: str, old_state: Properties, old_inputs: Properties, new: Properties
    ) -> Properties:
        """Apply the new inputs and wait until the object is done."""
        path = self._path(new)
        self._api.apply(path, new)
        return self._awaited(call, path, identity, new)

    def delete(self, call: Call, identity: str, state: Properties) -> None:
        """Delete the object and wait until it is gone."""
        path = self._path(state)
        live = self._api.get(path)
        if live is None or not self._api.delete(path):
            return
        why = await_gone(self._api, path, live["metadata"]["uid"], call.timeout)
        if why:
            raise ProviderError(f"{state['kind']} {identity}: {why}")


if __name__ == "__main__":
    main(Kubernetes())
