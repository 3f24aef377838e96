"""The Pulumi program. It declares an instance and its tenants, or one tenant in a stack of its own."""

from pathlib import Path

from components.shared.startup import disable_garbage_collector

disable_garbage_collector()
import pulumi

from components.config.load import TenantStack
from components.core.resource_names import tenant_name
from components.instance.configuration import configuration
from components.instance.instance import Instance, InstanceArgs
from components.instance.outputs import export_instance, export_tenants
from components.instance.providers import providers
from components.shared.program import run_program
from components.tenant.own_stack import args_of
from components.tenant.preview_notices import tenants_that_change
from components.tenant.tenant import Tenant


async def main() -> None:
    """Declare the resources that the stack's configuration describes."""
    name, config = pulumi.get_stack(), await configuration(Path(__file__).parent / "stacks")
    if isinstance(config, TenantStack):
        tenants = {config.tenant: await args_of(config)}
        base = tenants[config.tenant].base
        opts = pulumi.ResourceOptions(providers=providers(base.aws, base.cluster))
    else:
        opts = pulumi.ResourceOptions(providers=providers(config.aws, config.cluster))
        instance = Instance("instance", InstanceArgs(instance=name, config=config), opts)
        base, tenants = instance.base, {entry.name: instance.tenant_args(entry.name) for entry in config.tenants}
        export_instance(instance)
    tenants_that_change({tenant: args.settings for tenant, args in tenants.items()})
    export_tenants({tenant: Tenant(tenant_name(tenant), args, opts) for tenant, args in tenants.items()}, base)


run_program(main)
