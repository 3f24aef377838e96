"""The checks that stop an update which would delete data or volumes unasked. They run before anything is written.

An update applies the whole file, with every manual change in it that is not applied yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from components.core.errors import UserError
from scripts.stackfile.file import own_stack_tenants
from scripts.tenants.impact import deleted_parts, new_volumes
from scripts.tenants.locate import settings_by_tenant
from scripts.tenants.readiness import require_ready

if TYPE_CHECKING:
    from collections.abc import Mapping

    from components.config.stack import StackConfig
    from components.config.tenant import TenantSettings
    from scripts.clients.kubernetes import Cluster
    from scripts.stackfile.file import StackFile
    from scripts.tenants.recorded_state import Applied


@dataclass(frozen=True)
class Allowed:
    """What an update may do to single tenants, by their names.

    Attributes:
        delete: The tenant whose data may be deleted, and whose stack may change.
        replace: The tenant whose volumes may be replaced whatever they hold.
    """

    delete: str | None = None
    replace: str | None = None


NOTHING = Allowed()


def check_update_is_safe(
    file: StackFile,
    config: StackConfig,
    deployed: Mapping[str, Applied],
    cluster: Cluster,
    allowed: Allowed = NOTHING,
) -> None:
    """Raise `UserError` where an update of a stack to its file would delete data or volumes unasked.

    Args:
        file: The stack file with its edit.
        config: The instance's configuration.
        deployed: The tenants in the stack's state.
        cluster: The instance's cluster.
        allowed: The exceptions that the command asks for.
    """
    after = settings_by_tenant(file, config)
    if not file.is_tenants:
        _require_no_twin({*after} - {*deployed, allowed.delete}, file)
    require_no_other_purge(after, deployed, allowed.delete)
    for name in sorted({*after} & {*deployed}):
        _require_possible(name, deployed[name], after[name], cluster, force=name == allowed.replace)


def _require_no_twin(new: set[str], file: StackFile) -> None:
    """Raise `UserError` where the update would make a second copy of a tenant that has a stack of its own."""
    twins = sorted(new & {*own_stack_tenants(file.path.parent, file.instance)})
    if twins:
        raise UserError(
            f"{', '.join(twins)} is in {file.path.name} and has a stack of its own, too: a move was interrupted; run "
            "`./opstrace tenants move` again to complete it"
        )


def require_no_other_purge(
    after: Mapping[str, TenantSettings], deployed: Mapping[str, Applied], subject: str | None = None
) -> None:
    """Raise `UserError` where an update would delete data of another tenant than `subject`.

    Somebody took such a tenant out of the file by hand, and did not decide about its data.
    """
    doomed = [name for name in sorted({*deployed} - {*after} - {subject}) if deployed[name].on_delete != "retain"]
    protected = [name for name in doomed if deployed[name].protect]
    if protected:
        raise UserError(
            f"{', '.join(protected)} is out of the file, but applied and protected, so every update fails. Put the entry "
            "back. If `./opstrace tenants data adopt` was interrupted, run that again"
        )
    if doomed:
        raise UserError(
            f"this would also delete {', '.join(doomed)} with all data, or a part of it. It is out of the file, but still applied, "
            "and not recorded as `onDelete: retain`. Put the entry back, or let `pulumi up` delete it first"
        )


def _require_possible(tenant: str, deployed: Applied, after: TenantSettings, cluster: Cluster, *, force: bool) -> None:
    """Raise `UserError` where the engine refuses a change, or where the change deletes unwritten data of unready pods."""
    replaced, deleted = new_volumes(deployed, after), deleted_parts(deployed, after)
    # The engine may replace a resource in the update that removes its protection. It deletes one only in the next update.
    refused = deleted if deployed.protect else []
    if deployed.protect and after.protect:
        refused = [*refused, *replaced.values()]
    if refused:
        raise UserError(
            f"the tenant {tenant} is protected: to change {', '.join(refused)} would delete a part of it, and the engine "
            "refuses that. Leave the setting as it is, apply protect=false, and change it afterwards"
        )
    if not force:
        require_ready(cluster, tenant, replaced, "use `./opstrace tenants set` with --force")


def require_not_updated(file: StackFile, before: object, now: object) -> None:
    """Raise `UserError` where what the state has differs from what it had before a question."""
    if now != before:
        raise UserError(
            f"somebody updated the stack {file.instance} while this asked: nothing is changed. Look at it, then run this again"
        )
