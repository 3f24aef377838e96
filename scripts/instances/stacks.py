"""The stacks of a provider: which instances there are, and recovery of a stack after a kill."""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.core.errors import UserError

if TYPE_CHECKING:
    from scripts.context.context import Context
    from scripts.engine.pulumi import Engine


def list_instances(context: Context, provider_name: str) -> list[str]:
    """Return the names of the instances of a provider."""
    stacks = context.engine(context.provider(provider_name), "").stacks()
    return [stack for stack in stacks if "." not in stack]  # with a dot, it is the stack of one tenant


def require_stack(engine: Engine, provider_name: str) -> list[str]:
    """Return all stacks of the engine's backend; raises `UserError` where the engine's own stack is missing."""
    stacks = engine.stacks()
    if engine.instance not in stacks:
        existing = f"there are {', '.join(stacks)}" if stacks else "there is none"
        raise UserError(f"there is no instance {engine.instance} on {provider_name}; {existing}")
    return stacks


def recover(context: Context, provider_name: str, stack: str) -> None:
    """Clear the lock of a killed update of a stack, and settle its resources.

    Raises `UserError` with each resource that you have to delete by hand.
    """
    provider = context.provider(provider_name)
    engine = context.engine(provider, stack)
    require_stack(engine, provider_name)
    owner = context.require_file(stack).owner
    aws, cluster = context.clients(provider, context.require_file(owner).config())
    engine.settle(aws, cluster, thorough=True)
    engine.require_nothing_left_alone()
