"""Objects of Kubernetes, declared without the resource classes of the SDK."""

from typing import Any

import pulumi

from components.core.resource_names import KUBERNETES_PREFIX


class KubernetesObject(pulumi.CustomResource):
    """An object of any kind, as the SDK's class of its kind declares it, from the parts of its manifest.

    Importing the SDK's classes and evaluating their types takes a third of the program's time, at every preview and update.
    Nothing is lost: to check manifests against the SDK's nested typed dicts, mypy needs 20 GB.
    """

    metadata: pulumi.Output[dict[str, Any]]

    def __init__(self, token: str, name: str, *, opts: pulumi.ResourceOptions, **parts: Any) -> None:
        """Declare the object with the logical name `name`; `parts` are those of its manifest beside API and kind.

        `token` is the type token, such as `kubernetes:apps/v1:StatefulSet`.
        """
        api_version, kind = token.removeprefix(KUBERNETES_PREFIX).split(":")
        # The core group has no name in manifests, but one in type tokens.
        api = {"apiVersion": api_version.removeprefix("core/"), "kind": kind}
        super().__init__(token, name, api | parts, opts)

    @property
    def physical_name(self) -> pulumi.Output[str]:
        """The name of the object in the cluster."""
        return self.metadata["name"]
