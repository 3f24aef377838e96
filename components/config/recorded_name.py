"""The name under which the engine's state records a stack: a stack that was renamed is refused."""

from collections.abc import Mapping
from typing import Any

from components.config.load import TenantStack, renamed
from components.config.stack import stack_name
from components.core.errors import ConfigError


def require_recorded_name(stack: str, outputs: Mapping[str, Any], own: TenantStack | None) -> None:
    """Raise `ConfigError` where the last update of a stack was under another name.

    Args:
        stack: The name of the stack.
        outputs: The outputs of the last update, or their part that resources record; empty without one.
        own: The tenant of the stack; None for the stack of an instance.
    """
    instance, tenants = outputs.get("instance"), [*(outputs.get("tenants") or {})]
    if not isinstance(instance, str):
        return
    if own is None:
        was, name = instance, stack
    else:
        was, name = stack_name(instance, tenants[0] if len(tenants) == 1 else own.tenant), own.tenant
    if was != stack:
        raise ConfigError(renamed(stack, was, name))
