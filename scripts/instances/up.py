"""Bringing all stacks of an instance up to date: its own first, then the stacks of single tenants side by side."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from components.config.load import require_update_settings
from components.core.errors import ConfigError, UserError
from scripts.clients.concurrent import map_concurrently
from scripts.instances.stacks import require_stack
from scripts.stackfile.file import own_stack_tenants
from scripts.tenants.locate import entry_of, own_file
from scripts.tenants.own_stacks.update import StackUpdate, planned
from scripts.tenants.plan import merged
from scripts.ui.terminal import note
from scripts.updates.batch import Batch
from scripts.updates.one_at_a_time import one_at_a_time
from scripts.updates.parallelism import default_parallelism
from scripts.updates.result import Results, StackResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.context.context import Context, Target
    from scripts.stackfile.file import StackFile


@dataclass(frozen=True, kw_only=True)
class UpOptions:
    """The options of `up`; `parallel` is None for the machine's default."""

    parallel: int | None = None
    preview: bool = False
    yes: bool = False


def up_instance(context: Context, provider_name: str, instance: str, options: UpOptions) -> Results:
    """Apply the files of all stacks of an instance; return a result for each. With `preview`, nothing changes.

    A stack that fails leaves the others alone, except that of the instance, which the others need. Raises `UserError` before
    anything changes where a file is invalid, the instance has no stack, its own update would delete data unasked, or the
    preflight has an error.
    """
    files = checked_files(context, instance)
    config = files[0].config()
    require_update_settings(config, instance)
    target = context.target(provider_name, instance, config)
    again = f"./opstrace up {provider_name} {instance}"
    started = time.monotonic()
    with one_at_a_time(instance, target.provider.environment, again) as folder:
        existing = require_stack(target.engine, provider_name)
        _note_stacks_without_file(instance, files, existing)
        updates = map_concurrently(lambda file: planned(target, config, file, exists=file.instance in existing), files)
        if refusal := updates[0].refusal:
            raise refusal
        if not options.preview:
            context.require_preflight(target.provider, instance, config)
            _announce(updates, yes=options.yes)
            target.engine.require_programs()
        batch = Batch(context, target.provider, folder, options.parallel or default_parallelism())
        results = _previewed(batch, updates) if options.preview else _updated(batch, updates, target)
        return Results(results, time.monotonic() - started, again, batch.engines.interrupted)


def checked_files(context: Context, instance: str) -> list[StackFile]:
    """Return the file of an instance and those of its tenants' own stacks, by name.

    Raises `UserError` with every problem of every file.
    """
    file = context.require_file(instance)
    tenants = own_stack_tenants(context.stacks, instance)
    files = [file, *(own_file(context, instance, tenant) for tenant in tenants)]
    problems = []
    for one in files:
        try:
            one.check()
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))
    if twins := [tenant for tenant in tenants if entry_of(file, tenant) is not None]:
        raise UserError(
            f"{', '.join(twins)} is in {file.path.name} and has a stack of its own, too. If a move was interrupted, run "
            "`./opstrace tenants move` again; otherwise take the tenant out of one of the files"
        )
    return files


def _note_stacks_without_file(instance: str, files: Sequence[StackFile], existing: Sequence[str]) -> None:
    known = {file.instance for file in files}
    without = [stack for stack in existing if stack.split(".")[0] == instance and stack not in known]
    if without:
        note(
            f"Warning: no file in stacks/ for {', '.join(without)}: left as it is. Bring its file back, or delete it with "
            "`pulumi destroy` and `pulumi stack rm`."
        )


def _announce(updates: Sequence[StackUpdate], *, yes: bool) -> None:
    """Print what the updates do to all tenants; ask where a shorter retention deletes data, unless `yes`."""
    intended = merged([update.plan for update in updates if update.plan])
    note(f"{intended}")
    if intended.shorter and not yes:
        click.confirm("Delete the older data?", abort=True, err=True)


def _previewed(batch: Batch, updates: Sequence[StackUpdate]) -> list[StackResult]:
    """Return what the updates would change. A stack that does not exist yet has no preview."""
    jobs = [update.preview() for update in updates if update.exists]
    done = {result.stack: result for result in batch.run(f"previewing {len(jobs)} stacks", jobs)}
    return [done.get(update.name) or StackResult(update.name, "new") for update in updates]


def _updated(batch: Batch, updates: Sequence[StackUpdate], target: Target) -> list[StackResult]:
    """Update the instance's own stack, and then the others, which read its outputs."""
    secrets_provider = updates[0].file.secrets_provider
    own, *others = [update.job(target, secrets_provider) for update in updates]
    results = batch.run(f"updating the stack of {own.stack}", [own])
    if not results[0].is_complete:
        why = f"the stack {own.stack} comes first, and is not complete"
        return [*results, *(StackResult(job.stack, "not started", error=why) for job in others)]
    return [*results, *(batch.run(f"updating {len(others)} stacks of tenants", others) if others else ())]
