"""What stacks declare: an instance with its tenants, or one tenant. The program imports it late, see `__main__.py`."""

from collections.abc import Mapping

import pulumi

from components.config.load import TenantStack
from components.config.stack import StackConfig
from components.core.resource_names import tenant_name
from components.instance.instance import Instance, InstanceArgs
from components.instance.outputs import export_instance, export_tenants
from components.instance.providers import providers
from components.shared.program import send_registrations
from components.tenant.base import TenantBase
from components.tenant.own_stack import args_of
from components.tenant.preview_notices import tenants_that_change
from components.tenant.tenant import Tenant, TenantArgs


async def declare_instance(name: str, config: StackConfig, opts: pulumi.ResourceOptions) -> None:
    """Declare an instance and its tenants."""
    instance = Instance("instance", InstanceArgs(instance=name, config=config), opts)
    export_instance(instance)
    await _declare_tenants(
        {entry.name: instance.tenant_args(entry.name) for entry in config.tenants}, instance.base, opts
    )


async def declare_own_stack(config: TenantStack) -> None:
    """Declare a tenant in a stack of its own, with the providers of its instance."""
    args = await args_of(config)
    opts = pulumi.ResourceOptions(providers=providers(args.base.aws, args.base.cluster))
    await _declare_tenants({config.tenant: args}, args.base, opts)


async def _declare_tenants(tenants: Mapping[str, TenantArgs], base: TenantBase, opts: pulumi.ResourceOptions) -> None:
    """Declare tenants and export them. The engine works on the resources of one while the program declares the next."""
    tenants_that_change({tenant: args.settings for tenant, args in tenants.items()})
    declared = {}
    for tenant, args in tenants.items():
        await send_registrations()
        declared[tenant] = Tenant(tenant_name(tenant), args, opts)
    export_tenants(declared, base)
