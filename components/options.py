"""Pulumi's options, as all components use them."""

import pulumi


def child(parent: pulumi.Resource, *depends_on: pulumi.Resource) -> pulumi.ResourceOptions:
    """Return fresh options for a part of `parent`; nothing of the parent's own options is passed on but the providers."""
    return pulumi.ResourceOptions(parent=parent, depends_on=list(depends_on) or None)
