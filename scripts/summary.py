"""What an update will do, in the terms of a user of tenants."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.errors import UserError
from components.headline import Fate, fate, headline, with_fates
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


@dataclass(frozen=True)
class Deleted:
    """A tenant that goes: what becomes of its data, in which buckets that is, and what they hold."""

    on_delete: Fate
    buckets: list[str]
    held: stores.Contents


@dataclass(frozen=True)
class Plan:
    """What an update does to the tenants of one stack, by name; as text, in a user's words."""

    add: list[str]
    change: list[str]
    delete: dict[str, Deleted]

    def __str__(self) -> str:
        line = headline(add=self.add, change=self.change, delete=self.delete)
        if not line:
            return "No tenant to add, to change or to delete."
        return with_fates(
            line, {name: fate(one.on_delete, len(one.buckets), f"{one.held}") for name, one in self.delete.items()}
        )

    def facts(self) -> dict[str, Any]:
        """Return the plan as `--json` has it."""
        gone = {
            name: {"onDelete": one.on_delete, "buckets": one.buckets, "stored": one.held.counts()}
            for name, one in self.delete.items()
        }
        return {"add": self.add, "change": self.change, "delete": gone}


def plan(before: Settings, after: Settings, there: Mapping[str, applied.Applied], aws: Clients) -> Plan:
    """Return what an update of one stack from what is applied to `after` does to its tenants and their data.

    What becomes of a deleted tenant's data is what the last update recorded. `before` is what was
    applied, as far as is known; `there` are the user tenants in the state.
    """
    gone = {name: [*there[name].buckets.values()] for name in sorted({*there} - {*after})}
    return Plan(
        add=sorted({*after} - {*there}),
        change=[name for name in sorted({*after} & {*before} & {*there}) if before[name] != after[name]],
        delete={
            name: Deleted(there[name].on_delete, buckets, stores.contents(aws, buckets))
            for name, buckets in gone.items()
        },
    )
