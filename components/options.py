"""Pulumi's options, as all components use them."""

from typing import Any

import pulumi


def child(
    parent: pulumi.Resource, *depends_on: pulumi.Resource, more: pulumi.ResourceOptions | None = None
) -> pulumi.ResourceOptions:
    """Return options for a part of `parent`, with `more` laid upon them.

    Nothing of the parent's own options is passed on but the providers, and by the SDK its protection.
    """
    own = pulumi.ResourceOptions(parent=parent, depends_on=list(depends_on) or None)
    return pulumi.ResourceOptions.merge(own, more)


def protected(opts: pulumi.ResourceOptions | None, *, on: bool) -> pulumi.ResourceOptions:
    """Return `opts` with the engine's protection from deletion on or off; the children of a component inherit it."""
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(protect=on))


def manifest(**parts: Any) -> Any:
    """Return a part of a Kubernetes manifest.

    Typed as Any: to hold a manifest to the SDK's nested typed dicts, mypy needs 20 GB; the engine tests hold it
    to the API server.
    """
    return parts
