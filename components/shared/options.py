"""Resource options that all components use."""

from typing import Any

import pulumi

from components.core.tags import SKIP_AWAIT_ANNOTATION

# For Services: an update waits for their workloads. Pulumi would also wait for their endpoints, at least 10 s each.
SKIP_AWAIT = {SKIP_AWAIT_ANNOTATION: "true"}


def child(
    parent: pulumi.Resource, *depends_on: pulumi.Resource, more: pulumi.ResourceOptions | None = None
) -> pulumi.ResourceOptions:
    """Return the options of a resource below `parent`, merged with `more`.

    The SDK passes the parent's providers and its protection on to children; no other option is inherited.
    """
    own = pulumi.ResourceOptions(parent=parent, depends_on=list(depends_on) or None)
    return pulumi.ResourceOptions.merge(own, more)


def protected(opts: pulumi.ResourceOptions | None, *, on: bool) -> pulumi.ResourceOptions:
    """Return `opts` with Pulumi's deletion protection on or off. The children of a component inherit it."""
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(protect=on))


def manifest(**parts: Any) -> dict[str, Any]:
    """Return a part of a Kubernetes manifest. The integration tests check manifests against the API server."""
    return parts
