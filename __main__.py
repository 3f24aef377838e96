"""The Pulumi program. It declares an instance and its tenants, or one tenant in a stack of its own."""

import asyncio
import importlib
from pathlib import Path

from components.shared.startup import disable_garbage_collector

disable_garbage_collector()
import pulumi

from components.config.load import TenantStack
from components.instance.configuration import configuration
from components.instance.providers import providers
from components.shared.program import run_program

STACKS = "components.instance.stacks"


async def main() -> None:
    """Declare the resources that the stack's configuration describes."""
    name, config = pulumi.get_stack(), await configuration(Path(__file__).parent / "stacks")
    if isinstance(config, TenantStack):
        await importlib.import_module(STACKS).declare_own_stack(config)
    else:
        opts = pulumi.ResourceOptions(providers=providers(config.aws, config.cluster))
        # While a thread imports the modules of all resources, the SDK registers the providers, and the engine starts their
        # plugins.
        stacks = await asyncio.to_thread(importlib.import_module, STACKS)
        await stacks.declare_instance(name, config, opts)


run_program(main)
