"""Adding several tenants with stacks of their own, side by side."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ruamel.yaml.comments import CommentedMap

from components.config.load import require_update_settings
from components.core.errors import UserError
from components.core.names import SYSTEM, duplicates, tenant_name_problem
from scripts.clients.concurrent import map_concurrently
from scripts.stackfile.engine_view import plain
from scripts.stackfile.file import own_stack_tenants
from scripts.tenants.apply import show_difference
from scripts.tenants.edit import assign_all, new_own_file
from scripts.tenants.locate import own_file, user_settings_by_tenant
from scripts.tenants.own_stacks.update import StackUpdate, planned
from scripts.tenants.plan import merged, note_retained_data
from scripts.tokens.of_tenant import Tokens, live_tokens
from scripts.updates.batch import Batch
from scripts.updates.one_at_a_time import one_at_a_time
from scripts.updates.parallelism import default_parallelism
from scripts.updates.result import Results, StackResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from components.config.stack import StackConfig
    from scripts.context.context import Context, Target
    from scripts.stackfile.file import StackFile
    from scripts.ui.terminal import Terminal


@dataclass(frozen=True, kw_only=True)
class Addition:
    """Tenants that an instance gets, with the same settings in the form NAME=VALUE.

    `parallel` is None for the machine's default. With `no_apply`, only their files are written.
    """

    provider_name: str
    instance: str
    tenants: Sequence[str]
    settings: Sequence[str]
    parallel: int | None = None
    no_apply: bool = False

    @property
    def command(self) -> str:
        """The command that does it, and completes it."""
        words = [self.provider_name, self.instance, *self.tenants, *self.settings]
        return f"./opstrace tenants add {shlex.join(words)} --own-stack"


@dataclass(frozen=True)
class Added:
    """The files of new tenants, their earlier tokens, and the results of their stacks; None where nothing was applied."""

    addition: Addition
    files: Sequence[StackFile]
    tokens: Sequence[Tokens]
    results: Results | None

    def plain(self) -> dict[str, Any]:
        """Return what was done as `--json` has it."""
        return {
            "instance": self.addition.instance,
            "tenants": [*self.addition.tenants],
            "applied": self.results is not None,
            "files": {name: text for file in self.files for name, text in file.changes().items()},
            "tokens": {tokens.tenant: tokens.plain() for tokens in self.tokens},
            **(self.results.plain() if self.results else {}),
        }


def add_tenants(context: Context, addition: Addition) -> Added:
    """Add tenants, each with a stack of its own. If some fail, the same command completes them.

    Raises `UserError` before anything changes where a name or a setting is invalid, one exists with other settings, all exist
    already, or the preflight has an error.
    """
    _check_names(addition.tenants)
    instance_file = context.require_file(addition.instance)
    config = instance_file.config()
    files = _files(context, instance_file, config, addition)
    about = (addition.provider_name, addition.instance)
    tokens = [live_tokens(*about, name, config, context.terminal) for name in addition.tenants]
    if addition.no_apply:
        _write(files, tokens, context.terminal)
        return Added(addition, files, tokens, None)
    require_update_settings(config, addition.instance)
    target = context.target(addition.provider_name, addition.instance, config)
    started = time.monotonic()
    with one_at_a_time(addition.instance, target.provider.environment, addition.command) as folder:
        existing = target.engine.stacks()
        updates = map_concurrently(lambda file: planned(target, config, file, exists=file.instance in existing), files)
        complete = [update for update in updates if _is_complete(update)]
        if len(complete) == len(updates):
            raise UserError(f"{', '.join(addition.tenants)}: exist already; `./opstrace tenants set` changes a tenant")
        context.require_preflight(target.provider, addition.instance, config, added=addition.tenants)
        pending = [update for update in updates if update not in complete]
        _announce(pending, addition.instance, target)
        target.engine.require_programs()
        _write(files, tokens, context.terminal)
        batch = Batch(context, target.provider, folder, addition.parallel or default_parallelism())
        jobs = [update.job(target, instance_file.secrets_provider) for update in pending]
        done = {result.stack: result for result in batch.run(f"adding {len(jobs)} tenants", jobs)}
        results = [done.get(update.name) or StackResult(update.name, "unchanged") for update in updates]
        took = time.monotonic() - started
    return Added(addition, files, tokens, Results(results, took, addition.command, batch.engines.interrupted))


def _check_names(tenants: Sequence[str]) -> None:
    """Raise `UserError` with every invalid name."""
    problems = [problem for tenant in tenants if (problem := tenant_name_problem(tenant))]
    if twice := duplicates(tenants):
        problems.append(f"tenant given more than once: {', '.join(twice)}")
    if problems:
        raise UserError("; ".join(problems))


def _files(context: Context, instance_file: StackFile, config: StackConfig, addition: Addition) -> list[StackFile]:
    """Return the files of the tenants' stacks; those of new tenants are not written yet.

    Raises `UserError` where a tenant stands elsewhere, or with other settings.
    """
    in_instance = {SYSTEM, *user_settings_by_tenant(instance_file, config)}
    if elsewhere := [tenant for tenant in addition.tenants if tenant in in_instance]:
        raise UserError(
            f"{', '.join(elsewhere)}: in the stack of {addition.instance} already; `./opstrace tenants set` changes a tenant"
        )
    wanted = CommentedMap()
    assign_all(wanted, addition.settings)
    files, others = [], []
    standing = own_stack_tenants(context.stacks, addition.instance)
    for tenant in addition.tenants:
        if tenant in standing:
            file = own_file(context, addition.instance, tenant)
            others += [tenant] if plain(file.part("tenant")) != plain(wanted) else []
        else:
            file = new_own_file(context, addition.instance, tenant, addition.settings)
        file.check()
        files.append(file)
    if others:
        raise UserError(
            f"{', '.join(others)}: exist already with other settings; `./opstrace tenants set` changes a tenant"
        )
    return files


def _is_complete(update: StackUpdate) -> bool:
    """Tell whether the tenant is in a file, and an update with it has completed: only then its settings are recorded."""
    return update.file.exists() and any(one.settings is not None for one in update.deployed.values())


def _announce(updates: Sequence[StackUpdate], instance: str, target: Target) -> None:
    """Print what is added, what resumes, and which earlier data the new tenants do not see."""
    terminal = target.context.terminal
    terminal.plan(f"{merged([update.plan for update in updates if update.plan])}")
    if resumed := [update.name for update in updates if update.file.exists()]:
        terminal.note(f"No update has completed for {', '.join(resumed)}: it resumes.")
    new = [update.file.tenant_stack().tenant for update in updates if not update.file.exists()]
    map_concurrently(lambda tenant: note_retained_data(tenant, instance, {}, target), new)


def _write(files: Sequence[StackFile], tokens: Sequence[Tokens], terminal: Terminal) -> None:
    """Write the files of new tenants, and warn of earlier tokens with their names."""
    new = [file for file in files if not file.exists()]
    for file in new[:1]:
        show_difference(file, terminal)
    if len(new) > 1:
        terminal.note(f"The same for {', '.join(file.path.name for file in new[1:])}.")
    for of_tenant in tokens:
        of_tenant.tell_of_next()
    for file in new:
        file.write()
