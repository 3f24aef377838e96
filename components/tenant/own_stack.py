"""A tenant in a stack of its own, which reads its instance through a StackReference."""

from collections.abc import Mapping

import pulumi
from pydantic import ValidationError

from components.config.load import TenantStack
from components.config.stack import alertmanager_problem, context_problem
from components.core.errors import ConfigError
from components.shared.recorded_outputs import state_resources
from components.tenant.base import TenantBase
from components.tenant.encryption import require_former_keys
from components.tenant.tenant import TenantArgs


async def args_of(stack: TenantStack) -> TenantArgs:
    """Return the arguments of the stack's tenant, with what its instance exports for it.

    The exported values are awaited, because they decide which resources the program declares.

    Raises:
        ConfigError: the instance exports nothing, has a tenant of that name or no context, cannot give this one an Alertmanager, or
            no longer names a key of its data.
    """
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{stack.instance}"
    reference = pulumi.StackReference(stack.instance, stack_name=name)
    exported = (await reference.get_output_details("tenantBase")).value
    tenants = (await reference.get_output_details("tenants")).value
    if not isinstance(exported, Mapping):
        raise ConfigError(
            f"the stack {stack.instance} exports nothing for tenants with stacks of their own; its last update must "
            f"have succeeded: `pulumi up --stack {stack.instance}`"
        )
    if stack.tenant in (tenants or {}):
        raise ConfigError(
            f"the instance {stack.instance} has a tenant {stack.tenant} in its own stack; remove it there first, or move it"
        )
    try:
        base = TenantBase.imported(exported)
    except ValidationError as error:
        raise ConfigError(
            f"the stack {stack.instance} exports settings of another version of Opstrace ({_settings(error)}); update it first: "
            f"`pulumi up --stack {stack.instance}`"
        ) from None
    if problem := context_problem(base.aws, base.cluster):
        raise ConfigError(
            f"{problem}. Set it in the stack {stack.instance}: `pulumi up --stack {stack.instance}` exports it"
        )
    require_former_keys(base.aws.keys, await state_resources())
    settings = stack.settings.with_defaults(base.defaults)
    if problem := alertmanager_problem(stack.tenant, settings, base.cluster):
        raise ConfigError(f"{problem}, in the stack {stack.instance}")
    return TenantArgs(base=base, tenant=stack.tenant, settings=settings)


def _settings(error: ValidationError) -> str:
    """Return the settings that an error is about."""
    return ", ".join(".".join(map(str, entry["loc"])) for entry in error.errors())
