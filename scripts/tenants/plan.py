"""The plan of an update for tenants and their data: in words before it, as plain values after it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from components.tenant.change_summary import Fate, done_to_tenants, fate, headline, with_fates
from scripts.tenants import recorded_state
from scripts.tenants.impact import shorter_retention
from scripts.tenants.locate import settings_by_tenant
from scripts.tenants.retained_data import buckets, stores
from scripts.tenants.safety import NOTHING, Allowed, check_update_is_safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from components.config.stack import StackConfig
    from components.config.tenant import TenantSettings
    from scripts.clients.aws import Clients
    from scripts.context.context import Target
    from scripts.stackfile.file import StackFile
    from scripts.tenants.retained_data.buckets import Contents


@dataclass(frozen=True)
class Deleted:
    """A tenant that an update deletes: what happens to its data, its buckets by kind, and their contents."""

    on_delete: Fate
    buckets: Mapping[str, str]
    contents: Contents


@dataclass(frozen=True)
class Plan:
    """What an update does to the user tenants of one stack, by name. `str` gives it in words.

    `shorter` has the tenants whose retention gets shorter, `system` among them: by kind of data, the old and the new one.
    """

    add: list[str]
    change: list[str]
    delete: dict[str, Deleted]
    shorter: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)

    def __str__(self) -> str:
        line = headline(add=self.add, change=self.change, delete=self.delete)
        fates = {name: fate(one.on_delete, len(one.buckets), f"{one.contents}") for name, one in self.delete.items()}
        losses = [
            f"  {name}: its {kind} will be kept for {new} instead of {old}: older data will be deleted for good"
            for name, kinds in self.shorter.items()
            for kind, (old, new) in kinds.items()
        ]
        summary = with_fates(line, fates) if line else "No tenant to add, to change or to delete."
        return "\n".join([summary, *losses])

    @property
    def is_empty(self) -> bool:
        """Whether no tenant changes."""
        return not (self.add or self.change or self.delete or self.shorter)

    def plain(self) -> dict[str, Any]:
        """Return the plan as `--json` has it."""
        deleted = {
            name: {"onDelete": one.on_delete, "buckets": {**one.buckets}, **one.contents.plain()}
            for name, one in self.delete.items()
        }
        return {"add": self.add, "change": self.change, "delete": deleted}


def plan(after: Mapping[str, TenantSettings], deployed: Mapping[str, recorded_state.Applied], aws: Clients) -> Plan:
    """Return what an update to the settings `after` does to the tenants of one stack; `deployed` has those in its state.

    The last update recorded what happens to a deleted tenant's data. Of the instance's own tenant, the plan has only a
    shorter retention.
    """
    recorded = {name: one.settings for name, one in recorded_state.of_users(deployed).items()}
    changes = done_to_tenants(recorded_state.of_users(after), recorded)
    shorter = {name: shorter_retention(deployed[name], after[name]) for name in sorted({*after} & {*deployed})}
    return Plan(
        add=changes["add"],
        change=changes["change"],
        delete={
            name: Deleted(
                deployed[name].on_delete,
                deployed[name].buckets,
                buckets.contents(aws, deployed[name].buckets.values()),
            )
            for name in changes["delete"]
        },
        shorter={name: kinds for name, kinds in shorter.items() if kinds},
    )


def merged(plans: Iterable[Plan]) -> Plan:
    """Return the plans of several stacks as one. Tenants are sorted by name."""
    each = [*plans]
    return Plan(
        add=sorted(name for one in each for name in one.add),
        change=sorted(name for one in each for name in one.change),
        delete={name: deleted for one in each for name, deleted in one.delete.items()},
        shorter={name: kinds for one in each for name, kinds in one.shorter.items()},
    )


def announce(
    file: StackFile,
    config: StackConfig,
    allowed: Allowed = NOTHING,
    *,
    added: str | None = None,
    adopted: str | None = None,
) -> Callable[[Target], Plan]:
    """Return a function that checks an update, shows its plan and returns the plan, before anything changes.

    Args:
        file: The stack file with the edit.
        config: The instance's configuration.
        allowed: The exceptions that the command asks for.
        added: A tenant that the command makes with new data.
        adopted: A tenant that the command makes with retained data; parts of it may be in the state already.

    The function raises `UserError` as `check_update_is_safe` does.
    """

    def check_and_show(target: Target) -> Plan:
        state = recorded_state.tenants(target.engine.state())
        deployed = {name: one for name, one in state.items() if name != adopted}
        check_update_is_safe(file, config, deployed, target.cluster, allowed)
        intended = plan(settings_by_tenant(file, config), deployed, target.aws)
        target.context.terminal.plan(f"{intended}")
        if added:
            note_retained_data(added, file.owner, deployed, target)
        return intended

    return check_and_show


def note_retained_data(
    tenant: str, instance: str, deployed: Mapping[str, recorded_state.Applied], target: Target
) -> None:
    """Give a note where S3 has data of an earlier tenant of that name, which no deployed tenant uses."""
    used = {bucket for one in deployed.values() for bucket in one.buckets.values()}
    ids = ", ".join(
        store.id for store in stores.tagged_stores(target.aws, instance, tenant) if not used & {*store.buckets.values()}
    )
    if ids:
        target.context.terminal.note(
            f"Data of an earlier tenant {tenant} is retained ({ids}); this one does not see it. Tokens of the earlier one "
            "open this one unless they were revoked. Tokens that were issued on other machines are not listed here. "
            "To make the tenant with the earlier data, run `./opstrace tenants data adopt` instead."
        )


def outcome(tenant: str, *files: StackFile, plan: Plan | None) -> dict[str, Any]:
    """Return what a command did to a tenant as `--json` has it; `plan` is None where it only edited the files."""
    changes = {name: text for file in files for name, text in file.changes().items()}
    return {"tenant": tenant, "applied": plan is not None, "files": changes, **(plan.plain() if plan else {})}
