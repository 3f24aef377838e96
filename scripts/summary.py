"""What an update will do, in the terms of a user of tenants; before it in words, and after it for machines."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from components.config import StackConfig
from components.headline import Fate, done_to_tenants, fate, headline, with_fates
from components.tenant_config import TenantSettings
from scripts import applied, stores
from scripts.apply import Target
from scripts.aws import Clients
from scripts.consequences import shorter_retention
from scripts.guards import require_harmless
from scripts.placing import wanted_in
from scripts.stackfile import StackFile
from scripts.terminal import note


@dataclass(frozen=True)
class Deleted:
    """A tenant that goes: what becomes of its data, in which buckets that is, by kind, and what they hold."""

    on_delete: Fate
    buckets: Mapping[str, str]
    held: stores.Contents


@dataclass(frozen=True)
class Plan:
    """What an update does to the user tenants of one stack, by name; as text, in a user's words.

    `shorter` are those that keep some kind of data for less long, `system` among them: how long they did, and will.
    """

    add: list[str]
    change: list[str]
    delete: dict[str, Deleted]
    shorter: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)

    def __str__(self) -> str:
        line = headline(add=self.add, change=self.change, delete=self.delete)
        fates = {name: fate(one.on_delete, len(one.buckets), f"{one.held}") for name, one in self.delete.items()}
        losses = [
            f"  {name}: its {kind} will be kept for {now} instead of {before}: what is older will be deleted for good"
            for name, kinds in self.shorter.items()
            for kind, (before, now) in kinds.items()
        ]
        what = with_fates(line, fates) if line else "No tenant to add, to change or to delete."
        return "\n".join([what, *losses])

    def plain(self) -> dict[str, Any]:
        """Return the plan as `--json` has it."""
        gone = {
            name: {"onDelete": one.on_delete, "buckets": {**one.buckets}, **one.held.plain()}
            for name, one in self.delete.items()
        }
        return {"add": self.add, "change": self.change, "delete": gone}


def plan(after: Mapping[str, TenantSettings], there: Mapping[str, applied.Applied], aws: Clients) -> Plan:
    """Return what an update of one stack to `after` does to its tenants and their data; `there` are those in the state.

    What becomes of a deleted tenant's data is what the last update recorded. Of the instance's own tenant it says only
    what becomes of its data.
    """
    recorded = {name: one.settings for name, one in applied.of_users(there).items()}
    does = done_to_tenants(applied.of_users(after), recorded)
    shorter = {name: shorter_retention(there[name], after[name]) for name in sorted({*after} & {*there})}
    return Plan(
        add=does["add"],
        change=does["change"],
        delete={
            name: Deleted(
                there[name].on_delete, there[name].buckets, stores.contents(aws, there[name].buckets.values())
            )
            for name in does["delete"]
        },
        shorter={name: kinds for name, kinds in shorter.items() if kinds},
    )


def announce(
    file: StackFile,
    config: StackConfig,
    subject: str | None = None,
    *,
    added: str | None = None,
    adopted: str | None = None,
    forced: str | None = None,
) -> Callable[[Target], Plan]:
    """Return what says, and returns, before anything is changed, what becomes of the tenants and their data.

    `subject` is the tenant whose data may be purged by this, `added` one that is made with new data, `adopted` one that is
    made with its own, whatever of it is there by now. What is returned raises as `require_harmless` does, which takes
    `forced`.
    """

    def say(found: Target) -> Plan:
        there = {name: one for name, one in applied.tenants(found.engine.state()).items() if name != adopted}
        require_harmless(file, config, there, found.cluster, subject, forced=forced)
        intended = plan(wanted_in(file, config), there, found.aws)
        note(f"{intended}")
        if added:
            _tell_of_retained(added, file.owner, there, found)
        return intended

    return say


def _tell_of_retained(tenant: str, instance: str, there: Mapping[str, applied.Applied], found: Target) -> None:
    """Say so where there is data of an earlier tenant of that name; `there` are those whose data is in use."""
    owned = {bucket for one in there.values() for bucket in one.buckets.values()}
    known = stores.stores(found.aws, instance, tenant)
    kept = ", ".join(store.id for store in known if not owned & {*store.buckets.values()})
    if kept:
        note(
            f"Data of an earlier tenant {tenant} is retained ({kept}); this one does not see it. "
            "`./opstrace tenants data adopt`, in place of this, makes the tenant with it."
        )


def outcome(tenant: str, *files: StackFile, plan: Plan | None) -> dict[str, Any]:
    """Return what a verb did to a tenant as `--json` has it; `plan` is None where it only edited the files."""
    changes = {name: text for file in files for name, text in file.changes().items()}
    return {"tenant": tenant, "applied": plan is not None, "files": changes, **(plan.plain() if plan else {})}
