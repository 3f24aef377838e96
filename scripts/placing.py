"""Where a tenant lives: an entry in its instance's stack file, or a stack `<instance>.<tenant>` of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.config import StackConfig, stack_name
from components.errors import UserError
from components.names import SYSTEM
from components.tenant_config import TenantSettings
from scripts import applied
from scripts.at_once import for_each
from scripts.engine import Engine
from scripts.stackfile import STACKS, StackFile, require


@dataclass(frozen=True)
class Place:
    """The file that holds a tenant's settings, and the mapping in it, to be changed in place."""

    file: StackFile
    entry: Any

    @property
    def alone(self) -> bool:
        """Tell whether the tenant has a stack of its own."""
        return self.file.is_tenants


def own_files(instance: str) -> list[str]:
    """Return the tenants of an instance for which there is a stack file of their own."""
    return sorted(path.name.split(".")[2] for path in STACKS.glob(f"Pulumi.{instance}.*.yaml"))


def own_file(instance: str, tenant: str) -> StackFile:
    """Return the stack file of a tenant alone, which need not exist yet."""
    return StackFile(stack_name(instance, tenant))


def entry_of(file: StackFile, tenant: str) -> Any:
    """Return the tenant's entry in the instance's file itself, None where there is none."""
    return next((entry for entry in file.entry("tenants") if entry.get("name") == tenant), None)


def find(instance: str, tenant: str) -> Place | None:
    """Return where a tenant's settings stand, None where they stand nowhere."""
    if tenant in own_files(instance):
        file = own_file(instance, tenant)
        return Place(file, file.part("tenant"))
    file = require(instance)
    entry = entry_of(file, tenant)
    return None if entry is None else Place(file, entry)


def place(instance: str, tenant: str) -> Place:
    """Return where a tenant's settings stand; raises `UserError` where there is no such tenant."""
    found = find(instance, tenant)
    if found:
        return found
    file = require(instance)
    if tenant == SYSTEM:
        raise UserError(
            f"the tenant {SYSTEM} is the instance's own: it is there always, with the settings of tenantDefaults"
        )
    known = ", ".join([*(str(entry.get("name")) for entry in file.entry("tenants")), *own_files(instance)])
    raise UserError(f"there is no tenant {tenant} in {file.path.name}; there are {known}")


def wanted_in(file: StackFile, config: StackConfig) -> dict[str, TenantSettings]:
    """Return the settings of all tenants that the stack of a file has, by name, `system` among an instance's.

    `config` is the instance's configuration.
    """
    if file.is_tenants:
        own = file.tenant_stack()
        return {own.tenant: own.settings.upon(config.tenant_defaults)}
    found = file.config()
    return {name: found.settings_of(name) for name in (SYSTEM, *(entry.name for entry in found.tenants))}


def settings_in(file: StackFile, config: StackConfig) -> dict[str, TenantSettings]:
    """Return the settings of the user tenants of a stack file, as `wanted_in` does."""
    return applied.of_users(wanted_in(file, config))


def settings_of(instance: str, config: StackConfig, tenant: str) -> TenantSettings:
    """Return the settings of one tenant, wherever it lives; raises `UserError` where there is no such tenant."""
    return config.settings_of(SYSTEM) if tenant == SYSTEM else settings_in(place(instance, tenant).file, config)[tenant]


def all_settings(instance: str, config: StackConfig) -> dict[str, TenantSettings]:
    """Return the settings of all tenants of an instance, wherever they live, `system` among them."""
    found = wanted_in(require(instance), config)
    for tenant in own_files(instance):
        found |= wanted_in(own_file(instance, tenant), config)
    return found


def applied_anywhere(
    environment: Mapping[str, str], instance: str, tenant: str | None = None
) -> dict[str, applied.Applied]:
    """Return the tenants of an instance that are in the state of its stack, or of one of their own.

    With `tenant` that one alone: no state is read in which it cannot be.
    """
    if tenant is None:
        stacks = [stack for stack in Engine(environment, instance).stacks() if stack.split(".")[0] == instance]
    else:
        stacks = [instance, stack_name(instance, tenant)]
    found: dict[str, applied.Applied] = {}
    for resources in for_each(lambda stack: Engine(environment, stack).state(), stacks):
        found |= applied.tenants(resources)
    return {name: one for name, one in found.items() if tenant in (None, name)}
