"""A tenant in a stack of its own, which reads its instance through a StackReference."""

from collections.abc import Mapping

import pulumi
from pulumi.runtime.sync_await import _sync_await

from components.config import TenantStack, alertmanager_problem
from components.errors import ConfigError
from components.tenant_base import TenantBase


def base_of(stack: TenantStack) -> TenantBase:
    """Return what the tenant's instance exported; raises `ConfigError` where it did not, or has a tenant of that name.

    The outputs are waited for, as the SDK's own `invoke` does: what is declared depends on their values.
    """
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{stack.instance}"
    reference = pulumi.StackReference(stack.instance, stack_name=name)
    base = _sync_await(reference.get_output_details("tenantBase")).value
    tenants = _sync_await(reference.get_output_details("tenants")).value
    if not isinstance(base, Mapping):
        raise ConfigError(
            f"the stack {stack.instance} exports nothing for tenants with stacks of their own; its last update must "
            f"have succeeded: `pulumi up --stack {stack.instance}`"
        )
    if stack.tenant in (tenants or {}):
        raise ConfigError(
            f"the instance {stack.instance} has a tenant {stack.tenant} in its own stack; remove it there first, or move it"
        )
    found = TenantBase.imported(base)
    if problem := alertmanager_problem(stack.tenant, stack.settings.upon(found.defaults), found.cluster):
        raise ConfigError(f"{problem}, in the stack {stack.instance}")
    return found
