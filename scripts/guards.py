"""What keeps an update from doing harm that nobody asked for; looked at before anything is written.

An update applies the whole file: what was changed in it by hand, and is not applied yet, too.
"""

from collections.abc import Mapping

from components.config import StackConfig
from components.errors import UserError
from components.tenant_config import TenantSettings
from scripts.applied import Applied
from scripts.cluster import Cluster
from scripts.consequences import deleted_parts, new_volumes
from scripts.placing import own_files, wanted_in
from scripts.readiness import require_ready
from scripts.stackfile import StackFile


def require_harmless(
    file: StackFile,
    config: StackConfig,
    there: Mapping[str, Applied],
    cluster: Cluster,
    subject: str | None = None,
    *,
    forced: str | None = None,
) -> None:
    """Raise `UserError` where an update of a stack to its file would do what nobody said.

    `there` are the tenants in the stack's state. The data of `subject` may go, and its stack may change. The volumes of
    `forced` are made anew whatever is on them.
    """
    after = wanted_in(file, config)
    if not file.is_tenants:
        _require_no_twin({*after} - {*there, subject}, file)
    require_no_other_purge(after, there, subject)
    for name in sorted({*after} & {*there}):
        _require_possible(name, there[name], after[name], cluster, force=name == forced)


def _require_no_twin(to_add: set[str], file: StackFile) -> None:
    """Raise `UserError` where a tenant that has a stack of its own would be made a second time."""
    twins = sorted(to_add & {*own_files(file.instance)})
    if twins:
        raise UserError(
            f"{', '.join(twins)} is in {file.path.name} and has a stack of its own, too: a move was interrupted; "
            "`./opstrace tenants move` goes on, if it is run again"
        )


def require_no_other_purge(
    after: Mapping[str, TenantSettings], there: Mapping[str, Applied], subject: str | None = None
) -> None:
    """Raise `UserError` where an update would also delete data of a tenant that nobody speaks of here.

    Such a tenant was taken out of the file by hand: that alone is no word on its data. `there`: the tenants in the state.
    `subject` is the one that is meant.
    """
    doomed = [name for name in sorted({*there} - {*after} - {subject}) if there[name].on_delete != "retain"]
    protected = [name for name in doomed if there[name].protect]
    if protected:
        raise UserError(
            f"{', '.join(protected)} is out of the file, but applied and protected, so that no update passes; put the entry "
            "back, or where `./opstrace tenants data adopt` was interrupted, run that again"
        )
    if doomed:
        raise UserError(
            f"this would also delete {', '.join(doomed)} with all data, or a part of it: out of the file, but still applied, "
            "and not recorded as `onDelete: retain`; put the entry back, or let `pulumi up` delete it first"
        )


def _require_possible(tenant: str, there: Applied, after: TenantSettings, cluster: Cluster, *, force: bool) -> None:
    """Raise `UserError` where a change is refused by the engine, or loses what pods that do not run hold on their volumes."""
    replaced, gone = new_volumes(there, after), deleted_parts(there, after)
    # The engine replaces what is to be protected no more, but deletes nothing that was until an update has passed.
    refused = (gone if there.protect else []) + ([*replaced.values()] if there.protect and after.protect else [])
    if refused:
        raise UserError(
            f"the tenant {tenant} is protected: to change {', '.join(refused)} takes something of it away, which no update does "
            "then; leave that as it is, apply protect=false, and change it afterwards"
        )
    if not force:
        require_ready(cluster, tenant, replaced, "use `./opstrace tenants set` with --force")
