"""Where a tenant's settings are: an entry in its instance's stack file, or a stack `<instance>.<tenant>` of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.config.stack import StackConfig, stack_name
from components.core.errors import UserError
from components.core.names import SYSTEM
from scripts.clients.concurrent import map_concurrently
from scripts.stackfile.file import own_stack_tenants
from scripts.tenants import recorded_state

if TYPE_CHECKING:
    from collections.abc import Iterable

    from components.config.tenant import TenantSettings
    from scripts.clients.providers import Provider
    from scripts.context.context import Context
    from scripts.stackfile.file import StackFile


@dataclass(frozen=True)
class Place:
    """The file that holds a tenant's settings, and the mapping in it, to be changed in place."""

    file: StackFile
    entry: Any

    @property
    def alone(self) -> bool:
        """Whether the tenant has a stack of its own."""
        return self.file.is_tenants


def own_file(context: Context, instance: str, tenant: str) -> StackFile:
    """Return the file of a tenant's own stack, which need not exist yet."""
    return context.stack_file(stack_name(instance, tenant))


def entry_of(file: StackFile, tenant: str) -> Any:
    """Return the tenant's entry in the instance's file itself, None where there is none."""
    return next((entry for entry in file.entry("tenants") if entry.get("name") == tenant), None)


def find_tenant(context: Context, instance: str, tenant: str) -> Place | None:
    """Return where a tenant's settings are, None where no file has them."""
    if tenant in own_stack_tenants(context.stacks, instance):
        file = own_file(context, instance, tenant)
        return Place(file, file.part("tenant"))
    file = context.require_file(instance)
    entry = entry_of(file, tenant)
    return None if entry is None else Place(file, entry)


def editable_tenant(context: Context, instance: str, tenant: str) -> Place:
    """Return where a tenant's settings are, those of `system` included; raises `UserError` where no file has them."""
    if tenant != SYSTEM:
        return require_tenant(context, instance, tenant)
    file = context.require_file(instance)
    return Place(file, file.part("systemTenant"))


def require_tenant(context: Context, instance: str, tenant: str) -> Place:
    """Return where a tenant's settings are; raises `UserError` where no file has them."""
    place = find_tenant(context, instance, tenant)
    if place:
        return place
    file = context.require_file(instance)
    if tenant == SYSTEM:
        raise UserError(
            f"the tenant {SYSTEM} belongs to the instance: it always exists, and `./opstrace tenants set` changes its settings"
        )
    in_file = [str(entry.get("name")) for entry in file.entry("tenants")]
    existing = ", ".join([*in_file, *own_stack_tenants(context.stacks, instance)])
    raise UserError(f"there is no tenant {tenant} in {file.path.name}; there are {existing}")


def settings_by_tenant(file: StackFile, config: StackConfig) -> dict[str, TenantSettings]:
    """Return the settings of all tenants of a file's stack by name, `system` among those of an instance.

    `config` is the instance's configuration.
    """
    if file.is_tenants:
        own = file.tenant_stack()
        return {own.tenant: own.settings.with_defaults(config.tenant_defaults)}
    return settings_in_instance(file.config())


def settings_in_instance(config: StackConfig) -> dict[str, TenantSettings]:
    """Return the settings of the tenants in the configuration of an instance by name, `system` among them."""
    return {name: config.settings_of(name) for name in (SYSTEM, *(entry.name for entry in config.tenants))}


def user_settings_by_tenant(file: StackFile, config: StackConfig) -> dict[str, TenantSettings]:
    """Return what `settings_by_tenant` does, without `system`."""
    return recorded_state.of_users(settings_by_tenant(file, config))


def settings_of(context: Context, instance: str, config: StackConfig, tenant: str) -> TenantSettings:
    """Return the settings of one tenant from the file that has them; raises `UserError` where no file has them."""
    if tenant == SYSTEM:
        return config.settings_of(SYSTEM)
    alone = tenant in own_stack_tenants(context.stacks, instance)
    file = own_file(context, instance, tenant) if alone else context.require_file(instance)
    found = user_settings_by_tenant(file, config)
    if tenant not in found:
        require_tenant(context, instance, tenant)  # raises an error that names those that are there
    return found[tenant]


def all_settings(context: Context, file: StackFile, config: StackConfig) -> dict[str, TenantSettings]:
    """Return the settings of all tenants of an instance from its file and the others, `system` among them."""
    settings = settings_by_tenant(file, config)
    for tenant in own_stack_tenants(context.stacks, file.instance):
        settings |= settings_by_tenant(own_file(context, file.instance, tenant), config)
    return settings


def unknown_tenants(context: Context, instance: str, names: Iterable[str]) -> list[str]:
    """Return those names that are no tenant of an instance, by its files; raises `UserError` where they are invalid."""
    file = context.require_file(instance)
    known = {*settings_by_tenant(file, file.config()), *own_stack_tenants(context.stacks, instance)}
    return [name for name in names if name not in known]


def require_tenants(context: Context, instance: str, names: Iterable[str]) -> None:
    """Raise `UserError` for a name that is no tenant of an instance, with the names of those that are there."""
    for tenant in unknown_tenants(context, instance, names):
        require_tenant(context, instance, tenant)


def stacks_of(instance: str, stacks: Iterable[str]) -> list[str]:
    """Return which of these stacks are an instance's: its own, and those of single tenants."""
    return [stack for stack in stacks if stack.split(".", maxsplit=1)[0] == instance]


def deployed_in(context: Context, provider: Provider, stack: str) -> dict[str, recorded_state.Applied]:
    """Return the tenants in the state of one stack."""
    return recorded_state.tenants(context.engine(provider, stack).state())


def deployed_tenants(
    context: Context, provider: Provider, instance: str, tenant: str | None = None
) -> dict[str, recorded_state.Applied]:
    """Return the tenants in the state of an instance's stack and of the stacks of single tenants.

    With `tenant`, return that one alone, and read no state that cannot have it.
    """
    if tenant is None:
        stacks = stacks_of(instance, context.engine(provider, instance).stacks())
    else:
        stacks = [instance, stack_name(instance, tenant)]
    deployed: dict[str, recorded_state.Applied] = {}
    for found in map_concurrently(lambda stack: deployed_in(context, provider, stack), stacks):
        deployed |= found
    return {name: one for name, one in deployed.items() if tenant in (None, name)}
