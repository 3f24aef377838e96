"""`tenants remove`: a tenant goes, its data stays or goes, and what is left is read back. Interrupted, it goes on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

from components.config import StackConfig
from components.errors import UserError
from components.headline import Fate
from components.names import APIS, BUCKET_KINDS
from components.tenant_config import OnDelete
from scripts import applied, stores
from scripts.apply import NO_APPLY, Target, finish, show_difference, target
from scripts.guards import require_harmless
from scripts.placing import Place, find, place, settings_in
from scripts.providers import PROVIDER
from scripts.readiness import require_ready
from scripts.stackfile import StackFile, require
from scripts.summary import Plan, announce, outcome, plan
from scripts.terminal import JSON_OBJECT, confirm_by_name, note, stdout_json, step


@click.command(short_help="Remove a tenant.")
@PROVIDER
@click.argument("instance")
@click.argument("tenant")
@click.option("--purge", "policy", flag_value="purge", help="Delete its data too, whatever it is set to.")
@click.option("--retain", "policy", flag_value="retain", help="Keep its data, whatever it is set to.")
@click.option("--yes", is_flag=True, help="Do not ask, even where data is deleted.")
@click.option("--force", is_flag=True, help="Remove it even if its pods are not ready to write what they hold.")
@NO_APPLY
@JSON_OBJECT
def remove(
    provider_name: str,
    instance: str,
    tenant: str,
    policy: OnDelete | None,
    yes: bool,
    force: bool,
    no_apply: bool,
    as_json: bool,
) -> None:
    """Remove TENANT from INSTANCE. Its data stays or goes as its onDelete says, or the option.

    A removal that failed or was killed goes on when it is run again.
    """
    config = require(instance).config()
    where = find(instance, tenant)
    if where:
        _require_removable(where, config, tenant, provider_name)
    if no_apply:
        told = _only_edit(where or place(instance, tenant), tenant, policy, provider_name)
    else:
        told = _removal(where, instance, tenant, config, provider_name).run(policy, yes=yes, force=force)
    if as_json:
        stdout_json(told)


def _removal(where: Place | None, instance: str, tenant: str, config: StackConfig, provider_name: str) -> "Removal":
    file = where.file if where else require(instance)
    found = target(instance, config, provider_name, file.instance)
    there = applied.user_tenants(found.engine.state()).get(tenant)
    if where is None and there is None:
        place(instance, tenant)  # raises, and names those that are there
    return Removal(tenant, config, provider_name, found, file, where, there)


def _require_removable(where: Place, config: StackConfig, tenant: str, provider_name: str) -> None:
    instance = where.file.owner
    if settings_in(where.file, config)[tenant].protect:
        raise UserError(
            f"the tenant {tenant} is protected; `./opstrace tenants set {provider_name} {instance} {tenant} "
            "protect=false` takes the protection off first"
        )
    if not where.alone and len(config.tenants) == 1:
        raise UserError(
            f"{tenant} is the last tenant of {instance}, which needs one; add another first, or destroy the instance"
        )


def _only_edit(where: Place, tenant: str, policy: OnDelete | None, provider_name: str) -> dict[str, Any]:
    if policy or where.alone:
        raise UserError(
            "--no-apply only edits an entry of the instance's file; what becomes of data is what the last update "
            "recorded, and a stack of its own is removed with the tenant"
        )
    where.file.entry("tenants").remove(where.entry)
    show_difference(where.file)
    return outcome(tenant, where.file, plan=finish(where.file, provider_name, no_apply=True))


def _fate(policy: Fate) -> str:
    return {"purge": "deleted", "retain": "kept", "mixed": "deleted in part"}[policy]


@dataclass(frozen=True)
class Removal:
    """One removal: `file` is of the stack that has the tenant, `where` its entry, None where that is taken away already.

    `there` is what the last update recorded; nothing where the tenant was never applied.
    """

    tenant: str
    config: StackConfig
    provider: str
    found: Target
    file: StackFile
    where: Place | None
    there: applied.Applied | None

    @property
    def _is_under_way(self) -> bool:
        """Whether an earlier one has begun: then to record anything would make anew what is gone."""
        begun = self.there and (not self.there.has_workloads or len(self.there.buckets) < len(BUCKET_KINDS))
        return self.where is None or bool(begun)

    def run(self, policy: OnDelete | None, *, yes: bool, force: bool) -> dict[str, Any]:
        """Remove the tenant, and look whether its data is as it should be; raises `UserError` where it is not.

        Returns what was done, as `--json` has it.
        """
        wanted = self._wanted(policy)
        if self.there and self.there.has_workloads and wanted == "retain" and not force:
            require_ready(self.found.cluster, self.tenant, APIS, "remove it with --force")
        buckets = self.there.buckets if self.there else {}
        held = stores.contents(self.found.aws, buckets.values())
        if wanted == "purge" and not yes:
            confirm_by_name(self.tenant, f"All data of {self.tenant} will be deleted for good: {held}.")
        # Read anew: somebody may have updated while the name was typed.
        there = applied.tenants(self.found.engine.state())
        forced = self.tenant if force or wanted == "purge" else None
        require_harmless(self.file, self.config, there, self.found.cluster, self.tenant, forced=forced)
        if self.there and not self._is_under_way and (self.there.on_delete != wanted or self.there.protect):
            self._record(wanted)
        intended = self._take_away()
        left = None
        if buckets:
            left = read_back(self.tenant, wanted, buckets, held, self.found)
        else:
            self._tell_what_is_retained()
        return outcome(self.tenant, self.file, plan=intended) | {"data": left}

    def _wanted(self, policy: OnDelete | None) -> OnDelete:
        """Return what is to become of the data; raises `UserError` where an option comes too late."""
        if not self._is_under_way:
            return policy or settings_in(self.file, self.config)[self.tenant].on_delete
        recorded: set[OnDelete] = self.there.policies if self.there else set()
        if self.there and policy and recorded != {policy}:
            fate = _fate(self.there.on_delete) if recorded else "what it was when its buckets left the state"
            raise UserError(
                f"of {self.tenant} the last update recorded that its data is to be {fate}, and parts of it are not there; "
                f"`./opstrace tenants remove {self.provider} {self.file.owner} {self.tenant}` goes on with that"
            )
        note(f"{self.tenant} is out of the file, or gone in part, already: that removal goes on.")
        return "purge" if recorded and recorded != {"retain"} else "retain"

    def _record(self, wanted: OnDelete) -> None:
        """Let the state know what is to become of the data: a deletion does what the last update recorded."""
        assert self.where
        note(f"Recording that the data of {self.tenant} is to be {_fate(wanted)}:")
        self.where.entry["onDelete"] = wanted
        self.file.check()
        self.file.write()
        self.found.engine.up(self.found.aws, self.found.cluster)

    def _take_away(self) -> Plan | None:
        """Delete the tenant: by an update of the instance's stack without it, or with its own stack; return what that does."""
        if self.where and self.where.alone:
            there = applied.user_tenants(self.found.engine.state())
            intended = plan({}, there, self.found.aws)
            note(f"{intended}")
            if self.found.engine.exists():
                self.found.engine.destroy(self.found.aws, self.found.cluster)
            self.file.remove()
            return intended
        if self.where:
            self.file.entry("tenants").remove(self.where.entry)
            show_difference(self.file)
        say = announce(self.file, self.config, self.tenant)
        return finish(self.file, self.provider, no_apply=False, before=say)

    def _tell_what_is_retained(self) -> None:
        """Say what there is of a tenant of which the state had no bucket: an earlier one's, or its own since a kill."""
        kept = ", ".join(store.id for store in stores.stores(self.found.aws, self.file.owner, self.tenant))
        note(
            f"No bucket of {self.tenant} was left in the state. "
            + (f"Retained is {kept}: `./opstrace tenants data` manages it." if kept else "None is retained.")
        )


def read_back(
    tenant: str, policy: OnDelete, buckets: Mapping[str, str], held: stores.Contents, found: Target
) -> dict[str, Any]:
    """Look whether the data is as it should be; raises `UserError` naming what is not.

    `buckets` are its buckets by kind, `held` is what they held. Returns what is left, as `--json` has it.
    """
    with step(f"reading back what is left of {tenant}"):
        gone = policy == "purge"
        left = {kind: bucket for kind, bucket in buckets.items() if stores.is_there(found.aws, bucket, gone=gone)}
    if policy == "retain":
        kept = stores.contents(found.aws, left.values())
        note(f"The data of {tenant} is kept in {len(left)} buckets: {kept}. `./opstrace tenants data` manages it.")
        lost = ", ".join(buckets[kind] for kind in buckets if kind not in left)
        if lost:
            raise UserError(f"the data of {tenant} was to be kept, but {lost} is not there any more")
        return {"buckets": left, **kept.plain()}
    if left:
        still = stores.contents(found.aws, left.values())
        raise UserError(
            f"the data of {tenant} was to be deleted, but {', '.join(left.values())} is there still, with {still}, "
            f"{still.versions:,} old versions and {still.uploads:,} unfinished uploads; "
            "`./opstrace tenants data purge` deletes it"
        )
    note(
        f"Nothing is left of the data of {tenant}: {len(buckets)} buckets are gone, with {held}, {held.versions:,} old versions "
        f"and {held.uploads:,} unfinished uploads, and what its pods wrote last."
    )
    return {"buckets": {}, **stores.Contents().plain()}
