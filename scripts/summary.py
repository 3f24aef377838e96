"""What an update will do, in the terms of a user of tenants."""

from collections.abc import Mapping

from components.errors import UserError
from components.headline import fate, headline, with_fates
from components.tenant_config import TenantSettings
from scripts import applied, stores
from scripts.aws import Clients

Settings = Mapping[str, TenantSettings]


def require_no_other_purge(after: Settings, there: Mapping[str, applied.Applied], subject: str | None = None) -> None:
    """Raise `UserError` where an update would also delete data of a tenant that nobody speaks of here.

    Such a tenant was taken out of the file by hand: that alone is no word on its data. `there`: the user tenants in the
    state. `subject` is the one that is meant.
    """
    doomed = [name for name in sorted({*there} - {*after} - {subject}) if there[name].on_delete != "retain"]
    if doomed:
        raise UserError(
            f"this would also delete {', '.join(doomed)} with all data: out of the file, but still applied, and set to "
            "`onDelete: purge`; put the entry back, or let `pulumi up` delete it first"
        )


def summary(before: Settings, after: Settings, there: Mapping[str, applied.Applied], aws: Clients) -> str:
    """Return what an update of one stack from what is applied to `after` does to its tenants and their data.

    What becomes of a deleted tenant's data is what the last update recorded. `before` is what was
    applied, as far as is known; `there` are the user tenants in the state.
    """
    added = sorted({*after} - {*there})
    deleted = sorted({*there} - {*after})
    changed = [name for name in sorted({*after} & {*before} & {*there}) if before[name] != after[name]]
    line = headline(add=added, change=changed, delete=deleted)
    if not line:
        return "No tenant to add, to change or to delete."
    fates = {
        name: fate(
            there[name].on_delete, len(there[name].buckets), f"{stores.contents(aws, there[name].buckets.values())}"
        )
        for name in deleted
    }
    return with_fates(line, fates)
