"""Applying an edited stack file: it is checked, written, and given to the engine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from components.config.load import require_update_settings
from scripts.tenants.plan import announce

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.context.context import Context, Target
    from scripts.stackfile.file import StackFile
    from scripts.ui.terminal import Terminal

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class InstanceEdit:
    """A command's edit of an instance's stack file; with `no_apply`, the file is only written."""

    context: Context
    provider_name: str
    instance: str
    no_apply: bool = False

    @cached_property
    def file(self) -> StackFile:
        """The stack file; raises `UserError` where there is none to edit."""
        return self.context.file_to_edit(self.instance)

    def apply(self) -> None:
        """Show the change of the file, write the file and apply it.

        Raises `UserError` where an update would delete data or volumes unasked.
        """
        show_difference(self.file, self.context.terminal)
        write_and_apply(self.context, self.file, self.provider_name, no_apply=self.no_apply)


def show_difference(file: StackFile, terminal: Terminal) -> None:
    """Show the change that writing the file would make in it, as a unified diff."""
    difference = file.difference()
    if difference:
        terminal.difference(difference.rstrip())
    else:
        terminal.note(f"{file.path.name} stays as it is.")


def write_and_apply(
    context: Context,
    file: StackFile,
    provider_name: str,
    *,
    no_apply: bool,
    before: Callable[[Target], Result] | None = None,
) -> Result | None:
    """Write the file and apply it; write nothing where it is invalid or cannot be applied.

    `before` is called once the account and the cluster answer, before anything changes. It may raise. Its result is
    returned. Without `before`, the update is checked and its plan is shown, and the preflight is left out: a change of
    keys or tokens must not wait for its questions to the account.

    Raises `ConfigError` with every problem of the edited file.
    """
    file.require_editable()
    file.check()
    if no_apply:
        file.write()
        return None
    owner = context.require_file(file.owner) if file.is_tenants else file
    config = owner.config()
    require_update_settings(config, file.owner)
    target = context.target(provider_name, file.owner, config, file.instance)
    result = None
    if before:
        added = [file.tenant_stack().tenant] if file.is_tenants else []
        context.require_preflight(target.provider, file.owner, config, added=added)
        result = before(target)
    else:
        announce(file, config)(target)
    context.terminal.review()
    file.write()
    if file.is_tenants:
        target.engine.ensure_stack(select=False, secrets_provider=owner.secrets_provider)
    target.update()
    return result
