"""Removing an instance, and checking the remaining data of its tenants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from components.core.errors import UserError
from components.core.names import APIS
from scripts.engine.delegation import left_behind
from scripts.instances.protection import require_unprotected
from scripts.instances.stacks import require_stack
from scripts.tenants import recorded_state
from scripts.tenants.readiness import require_ready
from scripts.tenants.removal import read_back
from scripts.tenants.retained_data import buckets, stores
from scripts.tenants.retained_data.purge import purge_store
from scripts.ui.terminal import note

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scripts.context.context import Context, Target
    from scripts.tenants.recorded_state import Applied

FATES = {"purge": "delete the data of", "mixed": "delete a part of the data of", "retain": "keep the data of"}


@dataclass(frozen=True, kw_only=True)
class DestroyOptions:
    """The options of `destroy`."""

    purge: bool = False
    yes: bool = False
    force: bool = False
    preserve_config: bool = False


def destroy_instance(context: Context, provider_name: str, instance: str, options: DestroyOptions) -> None:
    """Remove an instance, after a question unless `yes`. With `purge`, delete all data of its tenants too.

    The stack file is removed, except with `preserve_config` or where data is retained. Raises `UserError` where a
    tenant has a stack of its own, the load balancer has deletion protection,
    or without `force` where pods are not ready.
    """
    engine = context.engine(context.provider(provider_name), instance)
    _require_no_own_stacks(require_stack(engine, provider_name), provider_name, instance)
    file = context.require_file(instance)
    config = file.config()
    target = context.target(provider_name, instance, config)
    resources = engine.resources()
    require_unprotected(resources, target.aws, instance)
    tenants = recorded_state.tenants(resources)
    if not (options.purge or options.force):
        _require_all_ready(tenants, target)
    delegation = left_behind(provider_name, instance, config, resources)
    if delegation:  # before the removal too, because a kill would skip the note after it
        note(delegation)
    if not options.yes:
        fate = "all data of all its tenants" if options.purge else _fates(tenants)
        click.confirm(f"Remove the instance {instance}, {fate}?", abort=True, err=True)
    doomed = {name: tenant.buckets for name, tenant in tenants.items() if tenant.on_delete == "purge"}
    contents = {name: buckets.contents(target.aws, names.values()) for name, names in doomed.items()}
    target.destroy()
    retained = stores.tagged_stores(target.aws, instance)
    if options.purge:
        for store in retained:
            purge_store(store, buckets.contents(target.aws, store.buckets.values()), target)
        retained = []
    for name, names in doomed.items():
        read_back(name, "purge", names, contents[name], target)
    if options.preserve_config or retained:
        file.forget_stack()
        file.write()
    else:
        file.remove()
    note(f"The instance {instance} is gone, and its tokens have no effect.")
    if retained:
        _note_retained_data(retained, target, provider_name)
    if delegation:
        note(delegation)
    target.engine.require_nothing_left_alone()


def _require_no_own_stacks(stacks: Sequence[str], provider_name: str, instance: str) -> None:
    tenants = [stack.split(".")[1] for stack in stacks if stack.startswith(f"{instance}.")]
    if tenants:
        raise UserError(
            f"tenants of {instance} have stacks of their own, which need it: {', '.join(tenants)}; remove them first "
            f"(`./opstrace tenants remove {provider_name} {instance} TENANT`)"
        )


def _require_all_ready(tenants: Mapping[str, Applied], target: Target) -> None:
    for name, tenant in tenants.items():
        if tenant.on_delete != "purge" and tenant.has_workloads:
            require_ready(target.cluster, name, APIS, "destroy it with --force")


def _note_retained_data(retained: Sequence[stores.Store], target: Target, provider_name: str) -> None:
    instance = target.engine.instance
    kept = buckets.contents(target.aws, [bucket for store in retained for bucket in store.buckets.values()])
    note(
        f"Retained of {', '.join(sorted({store.tenant for store in retained}))}: {kept}. `./opstrace tenants data list "
        f"{provider_name} {instance}` shows it; it needs stacks/Pulumi.{instance}.yaml, which is kept."
    )


def _fates(tenants: Mapping[str, Applied]) -> str:
    """Return whose data the removal deletes and whose it keeps, for the question."""
    by_fate = {fate: sorted(name for name, one in tenants.items() if one.on_delete == fate) for fate in FATES}
    return " and ".join(f"{FATES[fate]} {', '.join(names)}" for fate, names in by_fate.items() if names)
