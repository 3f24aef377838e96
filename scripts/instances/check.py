"""Checking what an instance needs, whether it exists or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.core.errors import UserError

if TYPE_CHECKING:
    from scripts.checks.finding import Finding
    from scripts.context.context import Context


def check_instance(context: Context, provider_name: str, instance: str, *, live: bool = True) -> list[Finding]:
    """Return what the preflight finds. Unless it is `live`, it starts no pods, and reads the settings of network policies.

    Raises `UserError` for the embedded cloud, or where there is no stack file.
    """
    if provider_name == "local":  # first: the provider may install the packages of the embedded cloud
        raise UserError("check is for the provider `aws`: the embedded cloud has what an instance needs")
    provider = context.provider(provider_name)
    file = context.require_file(instance)
    file.public_keys()  # in memory alone: `create` makes the first key, so there may be none yet
    return context.preflight(provider, instance, file.config(), live=live)


def quotas_of_instance(context: Context, provider_name: str, instance: str) -> list[Finding]:
    """Return what an instance uses of AWS's quotas; raises `UserError` as `check_instance` does."""
    if provider_name == "local":
        raise UserError("The embedded cloud has no quotas: they are those of an account of AWS.")
    return context.quotas(context.provider(provider_name), instance, context.require_file(instance).config())
