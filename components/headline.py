"""What an update does with tenants and their data, in a user's words; for the command, and for the program's previews."""

from collections.abc import Collection, Mapping
from typing import Any, Literal

from components.tenant_config import OnDelete, TenantSettings, exported

Fate = Literal["purge", "retain", "mixed"]
"""What becomes of a deleted tenant's data; `mixed` after an update that was killed while it changed that."""

IN_WORDS: Mapping[Fate, str] = {"purge": "purged", "retain": "kept", "mixed": "purged in part"}


def fate_of(policies: Collection[OnDelete]) -> Fate:
    """Return what becomes of a tenant's data, by what is recorded of each of its buckets; without any, none is deleted."""
    recorded = {*policies} or {"retain"}
    return "mixed" if len(recorded) > 1 else next(iter(recorded))


def done_to_tenants(
    now: Mapping[str, TenantSettings], recorded: Mapping[str, Mapping[str, Any] | None]
) -> dict[str, list[str]]:
    """Return which tenants an update to `now` adds, changes and deletes, as `headline` takes them.

    `recorded` are those of the state with their settings as `exported`; None where no update has made all of one, which
    then is to be added.
    """
    known = {name: settings for name, settings in recorded.items() if settings is not None}
    return {
        "add": sorted({*now} - {*known}),
        "change": sorted(name for name in {*now} & {*known} if known[name] != exported(now[name])),
        "delete": sorted({*recorded} - {*now}),
    }


def headline(**tenants: Collection[str]) -> str:
    """Return, as in '1 tenant to add (a), 2 to delete (b, c)', which tenants an update does what with; '' for none."""
    parts = [f"{len(names)} to {what} ({', '.join(sorted(names))})" for what, names in tenants.items() if names]
    if not parts:
        return ""
    count, _, rest = parts[0].partition(" ")
    return ", ".join([f"{count} {'tenant' if count == '1' else 'tenants'} {rest}", *parts[1:]])


def fate(what: Fate, buckets: int, held: str = "") -> str:
    """Return what becomes of a deleted tenant's data, with what its buckets hold where that is known."""
    return f"its data will be {IN_WORDS[what]}: {buckets} buckets" + (f", {held}" if held else "")


def with_fates(line: str, fates: Mapping[str, str]) -> str:
    """Return a headline with the fates of the tenants that are deleted, by name."""
    if len(fates) == 1:
        return f"{line}: {next(iter(fates.values()))}"
    return "\n".join([line, *(f"  {name}: {text}" for name, text in sorted(fates.items()))])
