"""`tenants move`: between the instance's stack and one of the tenant's own. Nothing but states and files changes."""

import click

from components.config import PREFIX, StackConfig, stack_name
from components.errors import UserError
from scripts import applied
from scripts.apply import Target, target
from scripts.engine import Engine
from scripts.guards import require_harmless
from scripts.placing import entry_of, own_file, own_files
from scripts.providers import PROVIDER
from scripts.stackfile import StackFile, require
from scripts.terminal import JSON_OBJECT, note, stdout_json, step
from scripts.yaml_comments import copied, put


def _require_one(tenant: str, instance: Engine, own: Engine) -> None:
    """Raise `UserError` where the tenant is not applied, or both stacks have one of that name, one of them half made."""
    found = [
        (engine.instance, one)
        for engine in (instance, own)
        if (one := applied.tenants(engine.state()).get(tenant)) is not None
    ]
    if not found:
        raise UserError(f"the tenant {tenant} is not applied yet; apply it where it is first, then move it")
    if len({tuple(sorted(one.buckets.values())) for _, one in found}) > 1:
        both = " and ".join(
            f"{stack} has it with {', '.join(sorted(one.buckets.values())) or 'no bucket'}" for stack, one in found
        )
        raise UserError(
            f"there are two tenants {tenant}: {both}; the one whose buckets have its data is the tenant. The other is what an "
            "update made beside it: take it out of that stack's file and, since they share the rest, out of its state alone "
            f"(`pulumi state delete --force --target-dependents '{found[0][1].urn}' --stack {found[0][0]}`, or that of "
            f"{found[1][0]}), then run this again; `./opstrace tenants data` shows its buckets"
        )


def _move_state(tenant: str, source: Engine, to: Engine) -> None:
    """Let the tenant be in one state alone, that of `to`; it may be in either, or after a kill in both."""
    from_there, to_there = (applied.tenants(engine.state()).get(tenant) for engine in (source, to))
    if from_there and to_there:
        source.forget(from_there.urn)  # `state move` writes the new state first
    elif from_there:
        source.move(from_there.urn, to)


# What is two columns further to the right as an item of opstrace:tenants than as opstrace:tenant.
OWN = f"{PREFIX}tenant"


def _entry_to_own(file: StackFile, own: StackFile, tenant: str) -> None:
    """Let a tenant's own file have what its entry says, with its comments."""
    entries, entry = file.entry("tenants"), entry_of(file, tenant)
    if entry is None:
        own.set("tenant", {})
        return
    value, above = copied(entries, entries.index(entry), -2, without="name")
    put(own.section, OWN, value, above)


def _entry_to_instance(own: StackFile, file: StackFile, tenant: str) -> None:
    """Let the instance's file have an entry that says what a tenant's own file does, with its comments."""
    own.part("tenant")
    value, above = copied(own.section, OWN, 2)
    value.insert(0, "name", tenant)
    entries = file.entry("tenants")
    put(entries, len(entries), value, above)


def _to_own(tenant: str, file: StackFile, config: StackConfig, found: Target, engine: Engine) -> StackFile:
    """Move a tenant into a stack of its own, that of `engine`; return that one's file."""
    entry, own = entry_of(file, tenant), own_file(found.engine.instance, tenant)
    if entry is not None and len(config.tenants) == 1:
        raise UserError(f"{tenant} is the last tenant of {file.instance}, whose stack needs one; add another first")
    if not own.exists():
        own.set("tenantOf", found.engine.instance)
        _entry_to_own(file, own, tenant)
        own.check()
        own.write()
    engine.ensure_stack(select=False)
    _move_state(tenant, found.engine, engine)
    if entry is not None:
        file.entry("tenants").remove(entry)
        file.write()
    found.engine.up(found.aws, found.cluster)  # it exports the tenant no more, which its own stack asks for
    engine.up(found.aws, found.cluster)
    return own


def _to_instance(tenant: str, file: StackFile, found: Target, engine: Engine) -> StackFile:
    """Move a tenant from its own stack, that of `engine`, into the instance's; return the file that it had.

    The empty stack is removed.
    """
    own = own_file(found.engine.instance, tenant)
    if entry_of(file, tenant) is None:
        _entry_to_instance(own, file, tenant)
        file.config()
    if tenant in applied.tenants(engine.state()):
        engine.settle(found.aws, found.cluster)  # now: what is looked for later is the other stack's
    file.write()  # first: with the tenant in its state alone, somebody's update of the instance would delete it
    _move_state(tenant, engine, found.engine)
    if engine.exists():
        engine.clear()  # only its providers are left in it
    found.engine.up(found.aws, found.cluster)
    own.remove()
    return own


@click.command(short_help="Move a tenant to a stack of its own, or back.")
@PROVIDER
@click.argument("instance")
@click.argument("tenant")
@click.option("--to", "to", type=click.Choice(["own-stack", "instance"]), required=True, help="Where it is to live.")
@JSON_OBJECT
def move(provider_name: str, instance: str, tenant: str, to: str, as_json: bool) -> None:
    """Move TENANT of INSTANCE to a stack of its own (INSTANCE.TENANT) or back; buckets and pods stay as they are.

    Interrupted, it goes on where it was when it is run again.
    """
    file = require(instance)
    config = file.config()
    if entry_of(file, tenant) is None and tenant not in own_files(instance):
        raise UserError(f"there is no tenant {tenant} in {instance}, in its own stack neither")
    if to == "instance" and tenant not in own_files(instance):
        raise UserError(f"the tenant {tenant} lives in the stack of {instance} already")
    found = target(instance, config, provider_name)
    alone = Engine(found.where.environment, stack_name(instance, tenant))
    # Before anything is settled: one would take what the other has for its own.
    _require_one(tenant, found.engine, alone)
    found.engine.settle(found.aws, found.cluster)
    require_harmless(file, config, applied.tenants(found.engine.state()), found.cluster, tenant)
    stack = alone.instance if to == "own-stack" else instance
    with step(f"moving {tenant} to {stack}"):
        if to == "own-stack":
            own = _to_own(tenant, file, config, found, alone)
        else:
            own = _to_instance(tenant, file, found, alone)
    note(
        f"The tenant {tenant} lives in {'a stack of its own' if to == 'own-stack' else f'the stack of {instance}'} now."
    )
    if as_json:
        stdout_json({"tenant": tenant, "applied": True, "stack": stack, "files": file.changes() | own.changes()})
