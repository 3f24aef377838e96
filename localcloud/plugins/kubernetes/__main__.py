"""Stand-in for the `kubernetes` plugin: all kinds of objects, by server-side apply."""

import copy
import os
import re
from typing import Any

from components.core.resource_names import KUBERNETES_PREFIX
from components.core.tags import INSTANCE_LABEL
from localcloud.plugins.kubernetes.api import FieldConflictError, KubernetesApi, MissingKindError
from localcloud.plugins.kubernetes.readiness import await_gone, await_ready
from localcloud.plugins.provider import Call, Change, Live, NotReadyError, Properties, ProviderError, main
from localcloud.plugins.values import UNKNOWN, Unknown, changed_paths, has_unknown

# Fields whose change needs a new object, as in the official plugin (provider/pkg/provider/forcenew.go).
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
IDENTITY = (r"metadata\.name\Z", r"metadata\.namespace\Z", r"apiVersion\Z", r"kind\Z")
FORCE_ANNOTATION = "pulumi.com/patchForce"
SERVER_METADATA = ("managedFields", "resourceVersion", "generation")


def _set_name(manifest: Properties, name: str, seed: bytes) -> None:
    metadata = manifest.setdefault("metadata", {})
    if not metadata.get("name") and not metadata.get("generateName"):
        metadata["name"] = f"{name[:54].lower()}-{seed.hex()[:8]}"


def _name(manifest: Properties) -> Any:
    # To learn the effects of another resource's deletion, the engine passes entire properties as unknown.
    metadata = manifest.get("metadata", {})
    return UNKNOWN if isinstance(metadata, Unknown) else metadata.get("name")


def _without_server_fields(live: Properties) -> Properties:
    """Return the object without the fields that only the server writes, to compare two objects."""
    stripped = copy.deepcopy(live)
    for name in SERVER_METADATA:
        stripped["metadata"].pop(name, None)
    stripped.pop("status", None)
    return stripped


def _projected(inputs: Any, live: Any) -> Any:
    """Return `live`, reduced to the fields in `inputs`."""
    if isinstance(inputs, dict) and isinstance(live, dict):
        return {key: _projected(value, live[key]) for key, value in inputs.items() if key in live}
    if isinstance(inputs, list) and isinstance(live, list) and len(inputs) == len(live):
        return [_projected(*pair) for pair in zip(inputs, live, strict=True)]
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
        """Use `kubeconfig` (path or text), `context`, `namespace` and the options that begin with `enable`.

        These are `enableConfigMapMutable`, `enableSecretMutable` and `enablePatchForce`.
        """
        self._config = config

    def _is_enabled(self, option: str) -> bool:
        return self._config.get(option) in (True, "true")

    def _forces(self, manifest: Properties) -> bool:
        """Tell whether an apply takes over fields of other managers, by the annotation or the provider's option."""
        annotations = manifest["metadata"].get("annotations") or {}
        return annotations.get(FORCE_ANNOTATION) == "true" or self._is_enabled("enablePatchForce")

    @property
    def _api(self) -> KubernetesApi:
        if self._loaded is None:
            kubeconfig = self._config.get("kubeconfig") or os.environ.get("KUBECONFIG")
            context = self._config.get("context")
            if isinstance(kubeconfig, Unknown) or isinstance(context, Unknown):
                raise ProviderError("kubeconfig or context is unknown before the update")
            self._loaded = KubernetesApi(kubeconfig, context)
        return self._loaded

    def _path(self, manifest: Properties) -> str:
        metadata = manifest["metadata"]
        namespace = metadata.get("namespace") or self._config.get("namespace") or "default"
        return self._api.path(manifest["apiVersion"], manifest["kind"], namespace, metadata["name"])

    @staticmethod
    def _identity(manifest: Properties) -> str:
        metadata = manifest["metadata"]
        return f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else metadata["name"]

    def check(
        self, call: Call, old: Properties, new: Properties, seed: bytes
    ) -> tuple[Properties, list[tuple[str, str]]]:
        """Fill in the name; report a missing apiVersion or kind."""
        failures = [(key, "is required") for key in ("apiVersion", "kind") if not new.get(key)]
        if failures:
            return new, failures
        inputs = copy.deepcopy(new)
        old_name = old.get("metadata", {}).get("name")
        if old_name and not new.get("metadata", {}).get("name"):
            inputs.setdefault("metadata", {})["name"] = old_name
        _set_name(inputs, call.name, seed)
        return inputs, []

    def diff(self, call: Call, old_inputs: Properties, old_state: Properties, new: Properties) -> Change:
        """Compare the inputs; a changed name, namespace or immutable field needs a new object."""
        paths = changed_paths(old_inputs, new)
        fixed = [*IDENTITY, *FORCE_NEW.get(new["kind"], ())]
        mutable = {"ConfigMap": "enableConfigMapMutable", "Secret": "enableSecretMutable"}.get(new["kind"])
        if mutable and self._is_enabled(mutable):
            fixed = list(IDENTITY)
        replaces = [path for path in paths if any(re.match(pattern, path) for pattern in fixed)]
        return Change(paths, replaces, delete_first=_name(old_inputs) == _name(new))

    def preview(self, call: Call, inputs: Properties, old_state: Properties) -> Properties:
        """Return the API server's result of a dry run, where all inputs are known and the namespace exists.

        Raises `FieldConflictError` for fields of other managers, unless it forces. Like the official plugin, it takes
        none over: an update does that first.
        """
        if not has_unknown(inputs):
            force = self._forces(inputs) or not old_state  # a replacement is a new object, without other managers
            try:
                return self._api.apply(self._path(inputs), inputs, force=force, dry_run=True)
            except FieldConflictError:
                raise
            except ProviderError:
                pass  # the same update creates the namespace or the cluster: only the inputs are known
        metadata = {"uid": old_state.get("metadata", {}).get("uid", UNKNOWN)} | inputs.get("metadata", {})
        return inputs | {"metadata": metadata, "status": old_state.get("status", UNKNOWN)}

    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """Create the object and wait until it is ready; raises `ProviderError` for one that exists already."""
        path = self._path(inputs)
        present = self._api.get(path)
        if present:
            owner = present["metadata"].get("labels", {}).get(INSTANCE_LABEL)
            ownership = f" (it belongs to the instance {owner})" if owner else ""
            raise ProviderError(
                f"{inputs['kind']} {self._identity(present)} already exists and was not created by this stack{ownership}; "
                f"import it: `pulumi import {call.type} {call.name} {self._identity(present)}`, or remove it"
            )
        identity = self._identity(self._api.apply(path, inputs, force=self._forces(inputs)))
        return identity, self._await_ready(call, path, identity, inputs)

    def _await_ready(self, call: Call, path: str, identity: str, inputs: Properties) -> Properties:
        try:
            live, reasons = await_ready(self._api, path, call.custom_timeout)
        except ProviderError as error:  # the object exists: the engine must store its id
            raise NotReadyError(
                identity, inputs, inputs, [f"{identity} was created, but cannot be read: {error}"]
            ) from error
        if reasons:
            raise NotReadyError(identity, live, inputs, reasons)
        return live

    def read(self, call: Call, identity: str, inputs: Properties, state: Properties) -> Live | None:
        """Return the live object; its inputs differ from `inputs` where the object no longer matches them."""
        namespace, _, name = identity.rpartition("/")
        manifest = inputs or state or self._named(call, namespace, name)
        path = self._api.path(manifest["apiVersion"], manifest["kind"], namespace, name)
        live = self._api.get(path)
        if live is None:
            return None
        if not inputs:
            imported = _without_server_fields(live)
            for server_only in ("uid", "creationTimestamp", "selfLink"):
                imported["metadata"].pop(server_only, None)
            return Live(identity, live, imported)
        # Compares the server's own form of the inputs: `1000m` and `1` are the same quantity for it.
        applied = self._api.apply(path, inputs, force=True, dry_run=True)
        has_drifted = changed_paths(_without_server_fields(applied), _without_server_fields(live))
        return Live(identity, live, _projected(inputs, live) if has_drifted else inputs)

    @staticmethod
    def _named(call: Call, namespace: str, name: str) -> Properties:
        api_version, kind = call.type.removeprefix(KUBERNETES_PREFIX).split(":")
        metadata = {"namespace": namespace, "name": name}
        return {"apiVersion": api_version.removeprefix("core/"), "kind": kind, "metadata": metadata}

    def update(
        self, call: Call, identity: str, old_state: Properties, old_inputs: Properties, new: Properties
    ) -> Properties:
        """Apply the new inputs and wait until the object is ready."""
        path = self._path(new)
        force = self._forces(new)
        if not force:
            self._api.take_over(path)
        self._api.apply(path, new, force=force)
        return self._await_ready(call, path, identity, new)

    def delete(self, call: Call, identity: str, state: Properties) -> None:
        """Delete the object and wait until it is gone.

        An object whose kind is gone is gone too, as for the official plugin (provider/pkg/await/await.go, `Deletion`).
        """
        try:
            path = self._path(state)
        except MissingKindError:
            return
        live = self._api.get(path)
        if live is None or not self._api.delete(path):
            return
        reason = await_gone(self._api, path, live["metadata"]["uid"], call.timeout)
        if reason:
            raise ProviderError(f"{state['kind']} {identity}: {reason}")


if __name__ == "__main__":
    main(Kubernetes())
