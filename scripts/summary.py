"""What an update will do, in the terms of a user of tenants."""

from components.config import StackConfig
from components.tenant_config import OnDelete
from scripts import applied, stores
from scripts.apply import Target


def _fate(policy: OnDelete, buckets: list[str], held: stores.Contents) -> str:
    what = "purged" if policy == "purge" else "kept"
    return f"data will be {what}: {len(buckets)} buckets, {held}"


def summary(before: StackConfig, after: StackConfig, found: Target) -> str:
    """Return one line for what an update from what is applied to `after` does to tenants and their data.

    What becomes of a deleted tenant's data is what the last update recorded. `before` is the
    configuration that was applied, as far as is known.
    """
    there = applied.user_tenants(found.engine.resources())
    wanted = {entry.name for entry in after.tenants}
    known = {entry.name for entry in before.tenants}
    added = sorted(wanted - {*there})
    deleted = sorted({*there} - wanted)
    changed = [
        name for name in sorted(wanted & known & {*there}) if before.settings_of(name) != after.settings_of(name)
    ]
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
    fates = [
        _fate(there[name].on_delete, there[name].buckets, stores.contents(found.aws, there[name].buckets))
        for name in deleted
    ]
    if len(deleted) == 1:
        return f"{line}: its {fates[0]}"
    return "\n".join([line, *(f"  {name}: its {fate}" for name, fate in zip(deleted, fates, strict=True))])
