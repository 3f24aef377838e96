"""The Pulumi program. It declares an instance and its tenants, or one tenant in a stack of its own."""

from pathlib import Path

from components.shared.startup import disable_garbage_collector

disable_garbage_collector()
import pulumi

from components.config.load import TenantStack
from components.instance.configuration import configuration
from components.instance.providers import providers
from components.shared.program import run_program, send_registrations


async def main() -> None:
    """Declare the resources that the stack's configuration describes."""
    name, config = pulumi.get_stack(), await configuration(Path(__file__).parent / "stacks")
    if isinstance(config, TenantStack):
        from components.instance.stacks import declare_own_stack  # noqa: PLC0415 an instance imports it later

        await declare_own_stack(config)
    else:
        opts = pulumi.ResourceOptions(providers=providers(config.aws, config.cluster))
        await send_registrations()
        # While this imports the modules of all resources, the engine starts the plugins of the providers.
        from components.instance.stacks import declare_instance  # noqa: PLC0415

        await declare_instance(name, config, opts)


run_program(main)
