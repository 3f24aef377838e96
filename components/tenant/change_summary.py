"""The effects of an update on tenants and their data, in words for the command and for previews."""

from collections.abc import Collection, Mapping
from typing import Any, Literal

from components.config.tenant import OnDelete, TenantSettings, exported

Fate = Literal["purge", "retain", "mixed"]
"""What deletion does to a tenant's data; `mixed` if an update was killed while it changed that."""

IN_WORDS: Mapping[Fate, str] = {"purge": "purged", "retain": "kept", "mixed": "purged in part"}


def fate_of(policies: Collection[OnDelete]) -> Fate:
    """Return what deletion does to a tenant's data, from the recorded policy of each bucket; no bucket means `retain`."""
    recorded = {*policies} or {"retain"}
    return "mixed" if len(recorded) > 1 else next(iter(recorded))


def done_to_tenants(
    now: Mapping[str, TenantSettings], recorded: Mapping[str, Mapping[str, Any] | None]
) -> dict[str, list[str]]:
    """Return which tenants an update adds, changes and deletes, as `headline` takes them.

    Args:
        now: the tenants of the configuration.
        recorded: the tenants of the state, with their settings as `exported` returns them. None stands for a tenant that
            no update has finished; it is yet to be added.
    """
    finished = {name: settings for name, settings in recorded.items() if settings is not None}
    return {
        "add": sorted({*now} - {*finished}),
        "change": sorted(name for name in {*now} & {*finished} if finished[name] != exported(now[name])),
        "delete": sorted({*recorded} - {*now}),
    }


def headline(**tenants: Collection[str]) -> str:
    """Return a line such as '1 tenant to add (a), 2 to delete (b, c)'; empty if no tenant changes."""
    parts = [f"{len(names)} to {what} ({', '.join(sorted(names))})" for what, names in tenants.items() if names]
    if not parts:
        return ""
    count, _, rest = parts[0].partition(" ")
    return ", ".join([f"{count} {'tenant' if count == '1' else 'tenants'} {rest}", *parts[1:]])


def fate(what: Fate, buckets: int, contents: str = "") -> str:
    """Return what deletion does to a tenant's data, with the contents of its buckets if they are known."""
    return f"its data will be {IN_WORDS[what]}: {buckets} buckets" + (f", {contents}" if contents else "")


def with_fates(line: str, fates: Mapping[str, str]) -> str:
    """Return a headline with what happens to the data of each deleted tenant, by name."""
    if len(fates) == 1:
        return f"{line}: {next(iter(fates.values()))}"
    return "\n".join([line, *(f"  {name}: {text}" for name, text in sorted(fates.items()))])
