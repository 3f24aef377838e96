"""Moving a tenant between the instance's stack and a stack of its own: states and files change, resources do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from components.config.stack import StackConfig, stack_name
from components.core.errors import UserError
from scripts.stackfile.comments import copied, put
from scripts.stackfile.file import own_stack_tenants
from scripts.tenants import recorded_state
from scripts.tenants.locate import entry_of, own_file
from scripts.tenants.safety import Allowed, check_update_is_safe
from scripts.ui.terminal import note

if TYPE_CHECKING:
    from scripts.context.context import Context, Target
    from scripts.engine.pulumi import Engine
    from scripts.stackfile.file import StackFile

Destination = Literal["own-stack", "instance"]
# An item of opstrace:tenants is indented by two columns more than the value of opstrace:tenant.
INDENT = 2


@dataclass(frozen=True)
class Move:
    """A tenant to be moved: `file` is the instance's stack file, `own_engine` runs on the tenant's own stack."""

    tenant: str
    file: StackFile
    config: StackConfig
    target: Target
    own_engine: Engine

    @property
    def instance(self) -> str:
        """The name of the instance."""
        return self.target.engine.instance

    def own_file(self) -> StackFile:
        """Return the file of the tenant's own stack, which need not exist."""
        return own_file(self.target.context, self.instance, self.tenant)


def move_tenant(context: Context, provider_name: str, instance: str, tenant: str, to: Destination) -> dict[str, Any]:
    """Move a tenant; return what was done, as `--json` has it. An interrupted move resumes where it stopped.

    Raises `UserError` where the tenant does not exist, is at the destination already, or cannot be moved safely.
    """
    file = context.file_to_edit(instance)
    config = file.config()
    own_stacks = own_stack_tenants(context.stacks, instance)
    if entry_of(file, tenant) is None and tenant not in own_stacks:
        raise UserError(f"there is no tenant {tenant} in {file.path.name}, and it has no stack of its own")
    if to == "instance" and tenant not in own_stacks:
        raise UserError(f"the tenant {tenant} lives in the stack of {instance} already")
    own_file(context, instance, tenant).require_editable()
    target = context.target(provider_name, instance, config)
    move = Move(tenant, file, config, target, context.engine(target.provider, stack_name(instance, tenant)))
    # This comes before `settle`, which would take resources of the other stack's tenant into this state.
    require_one_tenant(tenant, target.engine, move.own_engine)
    target.settle()
    check_update_is_safe(file, config, recorded_state.tenants(target.engine.state()), target.cluster, Allowed(tenant))
    stack = move.own_engine.instance if to == "own-stack" else instance
    with context.terminal.step(f"moving {tenant} to {stack}"):
        own = _move_to_own_stack(move) if to == "own-stack" else _move_to_instance(move)
    place = "a stack of its own" if to == "own-stack" else f"the stack of {instance}"
    note(f"The tenant {tenant} lives in {place} now.")
    return {"tenant": tenant, "applied": True, "stack": stack, "files": file.changes() | own.changes()}


def require_one_tenant(tenant: str, instance: Engine, own: Engine) -> None:
    """Raise `UserError` where the tenant is not applied, or where each stack has a different tenant of that name."""
    deployed = [
        (engine.instance, one)
        for engine in (instance, own)
        if (one := recorded_state.tenants(engine.state()).get(tenant)) is not None
    ]
    if not deployed:
        raise UserError(f"the tenant {tenant} is not applied yet; apply it where it is first, then move it")
    if len({tuple(sorted(one.buckets.values())) for _, one in deployed}) > 1:
        both = " and ".join(
            f"{stack} has it with {', '.join(sorted(one.buckets.values())) or 'no bucket'}" for stack, one in deployed
        )
        raise UserError(
            f"there are two tenants {tenant}: {both}. The real one is the one whose buckets hold its data; an update made the "
            "other beside it. Take the other out of its stack file. Since both share the remaining resources, take it out "
            f"of its state only: `pulumi state delete --force --target-dependents '{deployed[0][1].urn}' --stack "
            f"{deployed[0][0]}`, or that of {deployed[1][0]}. Then run this again. `./opstrace tenants data` lists its buckets"
        )


def _move_state(tenant: str, source: Engine, destination: Engine) -> None:
    """Leave the tenant in the state of `destination` only; before, either state has it, or both after a kill."""
    at_source, at_destination = (recorded_state.tenants(engine.state()).get(tenant) for engine in (source, destination))
    if at_source and at_destination:
        source.forget(at_source.urn)  # `pulumi state move` writes the destination first
    elif at_source:
        source.move(at_source.urn, destination)


def copy_to_own_file(file: StackFile, own: StackFile, tenant: str) -> None:
    """Copy a tenant's entry, with its comments, into the file of its own stack."""
    entries, entry = file.entry("tenants"), entry_of(file, tenant)
    if entry is None:
        own.set("tenant", {})
        return
    value, above = copied(entries, entries.index(entry), -INDENT, without="name")
    put(own.section, own.key("tenant"), value, above)


def copy_to_instance_file(own: StackFile, file: StackFile, tenant: str) -> None:
    """Copy the settings of a tenant's own stack, with their comments, into an entry of the instance's file."""
    own.part("tenant")
    value, above = copied(own.section, own.key("tenant"), INDENT)
    value.insert(0, "name", tenant)
    entries = file.entry("tenants")
    put(entries, len(entries), value, above)


def _move_to_own_stack(move: Move) -> StackFile:
    """Move the tenant into a stack of its own; return the file of that stack."""
    file, own = move.file, move.own_file()
    entry = entry_of(file, move.tenant)
    if entry is not None and len(move.config.tenants) == 1:
        raise UserError(
            f"{move.tenant} is the last tenant of {file.instance}, whose stack needs one; add another first"
        )
    if not own.exists():
        own.set("tenantOf", move.instance)
        own.set("name", move.tenant)
        copy_to_own_file(file, own, move.tenant)
        own.check()
        own.write()
    move.own_engine.ensure_stack(select=False, secrets_provider=file.secrets_provider)
    _move_state(move.tenant, move.target.engine, move.own_engine)
    if entry is not None:
        file.entry("tenants").remove(entry)
        file.write()
    # The instance's stack first: its outputs then leave out the tenant, which the tenant's own stack requires.
    move.target.update()
    move.own_engine.up(move.target.aws, move.target.cluster)
    return own


def _move_to_instance(move: Move) -> StackFile:
    """Move the tenant from its own stack into the instance's; return the file that is removed with its stack."""
    own = move.own_file()
    if entry_of(move.file, move.tenant) is None:
        copy_to_instance_file(own, move.file, move.tenant)
        move.file.config()
    if move.tenant in recorded_state.tenants(move.own_engine.state()):
        # Settle the own stack now. After the move, the instance's state would have to look for its pending creates.
        move.own_engine.settle(move.target.aws, move.target.cluster)
    # Write the entry before moving the state: an update of the instance would delete a tenant without an entry.
    move.file.write()
    _move_state(move.tenant, move.own_engine, move.target.engine)
    if move.own_engine.exists():
        move.own_engine.clear()  # only its providers are left in it
    move.target.update()
    own.remove()
    return own
