"""The Pulumi program: one instance and its tenants, as the stack's YAML says."""

from pathlib import Path

import pulumi
from pulumi.runtime.config import get_config_env

from components.config import from_engine
from components.errors import ConfigError
from components.instance import Instance, InstanceArgs
from components.outputs import export_all
from components.providers import providers
from components.tenant import Tenant

name = pulumi.get_stack()
try:
    config = from_engine(get_config_env(), name, lambda file: (Path(__file__).parent / "stacks" / file).read_text())
except ConfigError as error:
    raise pulumi.RunError(str(error)) from None

opts = pulumi.ResourceOptions(providers=providers(config))
instance = Instance("instance", InstanceArgs(name, config), opts)
tenants = {
    tenant.name: Tenant(f"tenant-{tenant.name}", instance.tenant_args(tenant.name), opts) for tenant in config.tenants
}
export_all(name, tenants, instance, config)
