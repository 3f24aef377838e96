"""Adding a tenant and changing its settings: an edit of a stack file, which is then applied."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from components.config.engine_values import problems
from components.config.load import wants_text
from components.core.errors import UserError
from components.core.names import SYSTEM, tenant_name_problem
from scripts.stackfile.document import quoted, round_trip
from scripts.stackfile.engine_view import plain
from scripts.stackfile.file import own_stack_tenants
from scripts.tenants import recorded_state
from scripts.tenants.apply import show_difference, write_and_apply
from scripts.tenants.locate import editable_tenant, own_file, require_tenant, user_settings_by_tenant
from scripts.tenants.plan import Plan, announce, outcome
from scripts.tenants.safety import Allowed
from scripts.tokens.of_tenant import live_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from components.config.stack import StackConfig
    from scripts.context.context import Context, Target
    from scripts.stackfile.file import StackFile


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A tenant of an instance, and settings for it in the form NAME=VALUE."""

    provider_name: str
    instance: str
    tenant: str
    settings: Sequence[str]
    no_apply: bool = False


def assign(entry: Any, assignment: str) -> None:
    """Set one setting of a tenant's entry, such as `retention.metrics=30d`; an empty value removes the setting.

    The value is read as YAML. Raises `UserError` where the form is wrong.
    """
    path, equals, text = assignment.partition("=")
    names = path.split(".")
    if not equals or not all(names) or names == ["name"]:
        raise UserError(f"{assignment!r}: a setting has the form NAME=VALUE, such as retention.metrics=30d")
    value = _value(assignment, names, text)
    for name in names[:-1]:
        entry = entry.setdefault(name, CommentedMap()) if text else entry.get(name, {})
        if not isinstance(entry, dict):
            raise UserError(f"{assignment!r}: {name} has a value and no parts: {entry!r}; remove it with {name}=")
    if text:
        entry[names[-1]] = value
    else:
        entry.pop(names[-1], None)


def _value(assignment: str, names: Sequence[str], text: str) -> Any:
    """Return the value of an assignment: its own text where a text is wanted, else what it is as YAML."""
    try:
        value = round_trip().load(text)
    except (YAMLError, ValueError) as error:
        raise UserError(f"{assignment!r}: the value is not valid YAML: {error}") from error
    if isinstance(value, int | float | date) and wants_text(names, value):
        return quoted(text.strip())
    unclear = problems({".".join(names): value})
    if unclear:
        raise UserError(f"{assignment!r}: {'; '.join(unclear)}")
    return plain(value)


def assign_all(entry: Any, settings: Sequence[str]) -> None:
    """Set settings of a tenant's entry, as `assign` does."""
    for assignment in settings:
        assign(entry, assignment)


def add_tenant(context: Context, edit: Edit, *, own_stack: bool) -> dict[str, Any]:
    """Add a tenant to an instance and apply it; return what was done, as `--json` has it.

    With `own_stack`, the tenant gets a stack of its own. Raises `UserError` where the tenant exists, or where a name or a
    setting is invalid.
    """
    _require_name(edit.tenant)
    instance_file = context.require_file(edit.instance)
    config = instance_file.config()
    begun = _begun(context, instance_file, edit, config, own_stack=own_stack)
    file = begun or _with_new_tenant(context, instance_file, edit, own_stack=own_stack)
    file.check()
    show_difference(file, context.terminal)
    tokens = live_tokens(edit.provider_name, edit.instance, edit.tenant, config, context.terminal)
    tokens.tell_of_next()
    before = announce(file, config, added=None if begun else edit.tenant)
    plan = write_and_apply(context, file, edit.provider_name, no_apply=edit.no_apply, before=before)
    return outcome(edit.tenant, file, plan=plan) | {"tokens": tokens.plain()}


def file_with_new_tenant(context: Context, edit: Edit, *, own_stack: bool) -> StackFile:
    """Return the file that gets a new tenant, not written yet; raises `UserError` where a name or a setting is invalid."""
    _require_name(edit.tenant)
    file = _with_new_tenant(context, context.require_file(edit.instance), edit, own_stack=own_stack)
    file.check()
    return file


def _require_name(tenant: str) -> None:
    if problem := tenant_name_problem(tenant):
        raise UserError(problem)


def already_there(tenant: str) -> str:
    """Return what is wrong with the name of a new tenant that exists."""
    return f"the tenant {tenant} exists already; `./opstrace tenants set` changes it"


def _begun(
    context: Context, instance_file: StackFile, edit: Edit, config: StackConfig, *, own_stack: bool
) -> StackFile | None:
    """Return the file in which the tenant stands already, where no update with it has completed; None for a new tenant.

    Raises `UserError` where the tenant exists, or stands there with other settings.
    """
    own_stacks = own_stack_tenants(context.stacks, edit.instance)
    if edit.tenant not in (SYSTEM, *user_settings_by_tenant(instance_file, config), *own_stacks):
        return None
    exists = already_there(edit.tenant)
    alone = edit.tenant in own_stacks
    if edit.no_apply or edit.tenant == SYSTEM or alone != own_stack:
        raise UserError(exists)
    place = require_tenant(context, edit.instance, edit.tenant)
    target = context.target(edit.provider_name, edit.instance, config, place.file.instance)
    applied = recorded_state.tenants(target.engine.state()).get(edit.tenant)
    if applied and applied.settings is not None:
        raise UserError(exists)
    wanted = CommentedMap() if alone else CommentedMap(name=edit.tenant)
    assign_all(wanted, edit.settings)
    if plain(wanted) != plain(place.entry):
        raise UserError(
            f"the tenant {edit.tenant} stands in {place.file.path.name} with other settings, and no update with it has "
            "completed; `./opstrace tenants set` changes and applies them"
        )
    context.terminal.note(
        f"The tenant {edit.tenant} stands in {place.file.path.name}, but no update with it has completed: it resumes."
    )
    return place.file


def _with_new_tenant(context: Context, file: StackFile, edit: Edit, *, own_stack: bool) -> StackFile:
    """Return the file that gets the new tenant's settings, not written yet: the instance's, or that of its own stack."""
    if own_stack:
        return new_own_file(context, edit.instance, edit.tenant, edit.settings)
    file.require_editable()
    entry = CommentedMap(name=edit.tenant)
    assign_all(entry, edit.settings)
    file.entry("tenants").append(entry)
    return file


def new_own_file(context: Context, instance: str, tenant: str, settings: Sequence[str]) -> StackFile:
    """Return the file of a new tenant's own stack, not written yet; raises `UserError` where a setting is invalid."""
    own = own_file(context, instance, tenant)
    own.set("tenantOf", instance)
    own.set("name", tenant)
    assign_all(own.part("tenant"), settings)
    return own


def change_tenant(context: Context, edit: Edit, *, yes: bool, force: bool) -> dict[str, Any]:
    """Change settings of a tenant and apply them; return what was done, as `--json` has it.

    A shorter retention is confirmed first, unless `yes`. With `force`, volumes are replaced even where pods are not ready.
    Raises `UserError` where the tenant does not exist, or a setting is invalid or unsafe.
    """
    config = context.require_file(edit.instance).config()
    file = file_with_changes(context, edit)
    show_difference(file, context.terminal)
    before = _confirmed(file, config, Allowed(replace=edit.tenant if force else None), yes=yes)
    plan = write_and_apply(context, file, edit.provider_name, no_apply=edit.no_apply, before=before)
    return outcome(edit.tenant, file, plan=plan)


def file_with_changes(context: Context, edit: Edit) -> StackFile:
    """Return the file with changed settings of a tenant, not written yet.

    Raises `UserError` where the tenant does not exist, or a setting is invalid.
    """
    place = editable_tenant(context, edit.instance, edit.tenant)
    place.file.require_editable()
    assign_all(place.entry, edit.settings)
    place.file.check()
    return place.file


def _confirmed(file: StackFile, config: StackConfig, allowed: Allowed, *, yes: bool) -> Callable[[Target], Plan]:
    """Return what `announce` does, with a question where a shorter retention deletes data, unless `yes`."""
    announcement = announce(file, config, allowed)

    def before(target: Target) -> Plan:
        intended = announcement(target)
        if intended.shorter and not yes:
            target.context.terminal.confirm("Delete the older data?")
        return intended

    return before


def token_command(instance: str, tenant: str) -> str:
    """Return the command that makes a token for a tenant."""
    return f"./opstrace ta-create-token {instance} {tenant} KEYPAIR_FILE --out {tenant}.jwt"
