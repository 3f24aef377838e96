"""The Pulumi program: an instance and its tenants, or one tenant in a stack of its own, as the stack's YAML says."""

from pathlib import Path

from components.short_lived import collect_no_garbage

collect_no_garbage()
import pulumi
from pulumi.runtime.config import get_config_env

from components.config import TenantStack, from_engine
from components.errors import ConfigError
from components.instance import Instance, InstanceArgs
from components.notices import tenants_that_change
from components.outputs import export_instance, export_tenants
from components.providers import providers
from components.tenant import Tenant
from components.tenant_stack import base_of

name = pulumi.get_stack()
try:
    config = from_engine(get_config_env(), name, lambda file: (Path(__file__).parent / "stacks" / file).read_text())
    base = base_of(config) if isinstance(config, TenantStack) else None
except ConfigError as error:
    raise pulumi.RunError(str(error)) from None

if isinstance(config, TenantStack):
    opts = pulumi.ResourceOptions(providers=providers(base.aws, base.cluster))
    args = base.tenant_args(config.tenant, config.settings.upon(base.defaults))
    tenants_that_change({config.tenant: args.settings})
    export_tenants({config.tenant: Tenant(f"tenant-{config.tenant}", args, opts)}, base)
else:
    opts = pulumi.ResourceOptions(providers=providers(config.aws, config.cluster))
    instance = Instance("instance", InstanceArgs(name, config), opts)
    settings = {tenant.name: config.settings_of(tenant.name) for tenant in config.tenants}
    tenants_that_change(settings)
    tenants = {tenant: Tenant(f"tenant-{tenant}", instance.tenant_args(tenant), opts) for tenant in settings}
    export_tenants(tenants, instance.base)
    export_instance(instance)
