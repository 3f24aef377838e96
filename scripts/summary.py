"""What an update will do, in the terms of a user of tenants."""

from collections.abc import Mapping

from components.tenant_config import TenantSettings
from scripts import applied, stores
from scripts.apply import Target

Settings = Mapping[str, TenantSettings]


def _fate(tenant: applied.Applied, held: stores.Contents) -> str:
    what = "purged" if tenant.on_delete == "purge" else "kept"
    return f"data will be {what}: {len(tenant.buckets)} buckets, {held}"


def summary(before: Settings, after: Settings, found: Target) -> str:
    """Return what an update of one stack from what is applied to `after` does to its tenants and their data.

    What becomes of a deleted tenant's data is what the last update recorded. `before` is what was
    applied, as far as is known.
    """
    there = applied.user_tenants(found.engine.state())
    added = sorted({*after} - {*there})
    deleted = sorted({*there} - {*after})
    changed = [name for name in sorted({*after} & {*before} & {*there}) if before[name] != after[name]]
    parts = [
        f"{len(names)} to {what} ({', '.join(names)})"
        for what, names in (("add", added), ("change", changed), ("delete", deleted))
        if names
    ]
    if not parts:
        return "No tenant to add, to change or to delete."
    first, *others = parts
    count, _, rest = first.partition(" ")
    line = ", ".join([f"{count} {'tenant' if count == '1' else 'tenants'} {rest}", *others])
    fates = [_fate(there[name], stores.contents(found.aws, there[name].buckets.values())) for name in deleted]
    if len(deleted) == 1:
        return f"{line}: its {fates[0]}"
    return "\n".join([line, *(f"  {name}: its {fate}" for name, fate in zip(deleted, fates, strict=True))])
