"""Removing a tenant: the questions, the order of the steps, and the check of the remaining data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.core.errors import UserError
from components.core.names import APIS, BUCKET_KINDS
from scripts.tenants import recorded_state
from scripts.tenants.apply import show_difference, write_and_apply
from scripts.tenants.locate import Place, find_tenant, require_tenant, settings_by_tenant, user_settings_by_tenant
from scripts.tenants.plan import Plan, announce, outcome, plan
from scripts.tenants.readiness import require_ready
from scripts.tenants.retained_data import buckets, stores
from scripts.tenants.safety import Allowed, check_update_is_safe, require_not_updated
from scripts.tokens.of_tenant import Answer, Decision, Tokens, decide, live_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from components.config.stack import StackConfig
    from components.config.tenant import OnDelete
    from components.tenant.change_summary import Fate
    from scripts.context.context import Context, Target
    from scripts.stackfile.file import StackFile
    from scripts.ui.terminal import Terminal

FATES: Mapping[Fate, str] = {"purge": "deleted", "retain": "kept", "mixed": "deleted in part"}


@dataclass(frozen=True, kw_only=True)
class RemovalOptions:
    """The options of `tenants remove`: what happens to the data and to the tokens, and which questions are left out.

    `shown` is what the user was told about the data, for which `policy` is None; a removal that does otherwise is refused.
    """

    policy: OnDelete | None = None
    shown: Fate | None = None
    tokens: Answer | None = None
    yes: bool = False
    force: bool = False
    no_apply: bool = False


@dataclass(frozen=True)
class Outlook:
    """What the removal of a tenant would do.

    Attributes:
        refusal: Why it is refused; None where it is not.
        policy: What happens to the data by the tenant's settings, or by a removal that has begun.
        contents: What the tenant's buckets hold.
        buckets: The number of these buckets.
        tokens: The live tokens that were issued here.
        alone: Whether the tenant has a stack of its own, so that its removal revokes no tokens.
    """

    refusal: str | None
    policy: Fate
    contents: buckets.Contents
    buckets: int
    tokens: Tokens
    alone: bool


def outlook(context: Context, provider_name: str, instance: str, tenant: str) -> Outlook:
    """Return what the removal of a tenant would do; raises `UserError` where there is no such tenant."""
    config = context.require_file(instance).config()
    place = find_tenant(context, instance, tenant)
    file = place.file if place else context.require_file(instance)
    target = context.target(provider_name, instance, config, file.instance)
    deployed = recorded_state.user_tenants(target.engine.state()).get(tenant)
    if place is None and deployed is None:
        require_tenant(context, instance, tenant)  # raises, and names the tenants that exist
    policy = _recorded_fate(file, config, tenant, place, deployed)
    refusal = None
    if place:
        try:
            _require_removable(place, config, tenant, provider_name)
        except UserError as refused:
            refusal = str(refused)
    names = deployed.buckets if deployed else {}
    return Outlook(
        refusal,
        policy,
        buckets.contents(target.aws, names.values()),
        len(names),
        live_tokens(provider_name, instance, tenant, config, context.terminal),
        bool(place and place.alone),
    )


def _has_begun(place: Place | None, deployed: recorded_state.Applied | None) -> bool:
    """Tell whether an earlier removal has begun. An update that records a policy would then create deleted parts again."""
    begun = deployed and (not deployed.has_workloads or len(deployed.buckets) < len(BUCKET_KINDS))
    return place is None or bool(begun)


def _recorded_fate(
    file: StackFile, config: StackConfig, tenant: str, place: Place | None, deployed: recorded_state.Applied | None
) -> Fate:
    """Return what happens to the data unless the user chooses: by the file, or by a removal that has begun."""
    if _has_begun(place, deployed):
        return deployed.on_delete if deployed else "retain"
    return user_settings_by_tenant(file, config)[tenant].on_delete


def remove_tenant(
    context: Context, provider_name: str, instance: str, tenant: str, options: RemovalOptions
) -> dict[str, Any]:
    """Remove a tenant; return what was done, as `--json` has it. An interrupted removal resumes where it stopped.

    Raises `UserError` where the tenant does not exist, is protected or not ready, or where the check of its data
    fails afterwards.
    """
    config = context.require_file(instance).config()
    place = find_tenant(context, instance, tenant)
    if not (place and place.alone):
        context.file_to_edit(instance)
    if place:
        _require_removable(place, config, tenant, provider_name)
    tokens = live_tokens(provider_name, instance, tenant, config, context.terminal)
    if options.no_apply:
        return _remove_entry(context, place or require_tenant(context, instance, tenant), tokens, options)
    file = place.file if place else context.require_file(instance)
    target = context.target(provider_name, instance, config, file.instance)
    deployed = recorded_state.user_tenants(target.engine.state()).get(tenant)
    if place is None and deployed is None:
        require_tenant(context, instance, tenant)  # raises, and names the tenants that exist
    return Removal(tokens, config, target, file, place, deployed, options).run()


def _require_removable(place: Place, config: StackConfig, tenant: str, provider_name: str) -> None:
    """Raise `UserError` where the tenant is protected, or is the instance's last one."""
    instance = place.file.owner
    if user_settings_by_tenant(place.file, config)[tenant].protect:
        raise UserError(
            f"the tenant {tenant} is protected; run `./opstrace tenants set {provider_name} {instance} {tenant} "
            "protect=false` first"
        )
    if not place.alone and len(config.tenants) == 1:
        raise UserError(
            f"{tenant} is the last tenant of {instance}, which needs one; add another first, or destroy the instance"
        )


def _remove_entry(context: Context, place: Place, tokens: Tokens, options: RemovalOptions) -> dict[str, Any]:
    """Take the tenant's entry out of the file, and apply nothing."""
    if options.policy or place.alone:
        raise UserError(
            "--no-apply only edits an entry of the instance's file. It cannot remove a stack of the tenant's own, or change "
            "what the last update recorded about the data. Leave out --no-apply, or --purge and --retain"
        )
    read = context.require_file
    decision = decide(tokens, options.tokens, yes=options.yes, alone=place.alone, read=read)
    place.file.entry("tenants").remove(place.entry)
    decision.write(place.file)
    show_difference(place.file, context.terminal)
    write_and_apply(context, place.file, tokens.provider, no_apply=True)
    decision.tell()
    return outcome(tokens.tenant, place.file, plan=None) | {"tokens": decision.plain()}


@dataclass(frozen=True)
class Removal:
    """The removal of one tenant.

    Attributes:
        tokens: Its live tokens, which name the tenant, the instance and the provider too.
        config: The instance's configuration.
        target: The instance, with the engine on the stack that has the tenant.
        file: The file of that stack.
        place: The tenant's settings in the file; None where an earlier removal took them out.
        deployed: The tenant in the state; None where it was never applied.
        options: The options of the command.
    """

    tokens: Tokens
    config: StackConfig
    target: Target
    file: StackFile
    place: Place | None
    deployed: recorded_state.Applied | None
    options: RemovalOptions

    @property
    def tenant(self) -> str:
        """The tenant's name."""
        return self.tokens.tenant

    @property
    def _terminal(self) -> Terminal:
        return self.target.context.terminal

    @property
    def _is_under_way(self) -> bool:
        """Whether an earlier removal has begun."""
        return _has_begun(self.place, self.deployed)

    def run(self) -> dict[str, Any]:
        """Remove the tenant, and check its data; return what was done, as `--json` has it.

        Raises `UserError` where the check of the data fails.
        """
        options, deployed = self.options, self.deployed
        policy = self._policy()
        if deployed and deployed.has_workloads and policy == "retain" and not options.force:
            require_ready(self.target.cluster, self.tenant, APIS, "remove it with --force")
        names = deployed.buckets if deployed else {}
        contents = buckets.contents(self.target.aws, names.values())
        alone = bool(self.place and self.place.alone)
        read = self.target.context.require_file
        decision = decide(self.tokens, options.tokens, yes=options.yes, alone=alone, read=read)
        if policy == "purge" and not options.yes:
            self._terminal.confirm_by_name(
                self.tenant, f"All data of {self.tenant} will be deleted for good: {contents}."
            )
        # Read the state again: somebody may have updated the stack during the question.
        current = recorded_state.tenants(self.target.engine.state())
        require_not_updated(self.file, deployed, current.get(self.tenant))
        allowed = Allowed(self.tenant, self.tenant if options.force or policy == "purge" else None)
        check_update_is_safe(self.file, self.config, current, self.target.cluster, allowed)
        self._review_others(current)
        is_recorded = deployed is None or (deployed.on_delete == policy and not deployed.protect)
        if self.place and not self._is_under_way and not is_recorded:
            self._record(policy, self.place)
        intended = self._delete(decision)
        decision.tell()
        left = None
        if names:
            left = read_back(self.tenant, policy, names, contents, self.target)
        else:
            self._note_retained_data()
        return outcome(self.tenant, self.file, plan=intended) | {"data": left, "tokens": decision.plain()}

    def _review_others(self, current: Mapping[str, recorded_state.Applied]) -> None:
        """Show what the update does to other tenants: it applies the whole file, which others may have edited."""
        after = {name: one for name, one in settings_by_tenant(self.file, self.config).items() if name != self.tenant}
        deployed = {name: one for name, one in current.items() if name != self.tenant}
        others = plan(after, deployed, self.target.aws)
        if not others.is_empty:
            self._terminal.plan(f"{self.file.path.name} has other changes too, which this update applies:\n{others}")
            self._terminal.review_others()
            require_not_updated(self.file, current, recorded_state.tenants(self.target.engine.state()))

    def _policy(self) -> OnDelete:
        """Return what happens to the data; raises `UserError` where an option contradicts a removal that has begun."""
        policy, shown = self.options.policy, self.options.shown
        recorded_fate = _recorded_fate(self.file, self.config, self.tenant, self.place, self.deployed)
        if shown is not None and shown != recorded_fate:
            raise UserError(
                f"the data of {self.tenant} was to be {FATES[shown]} when you were asked, and is to be {FATES[recorded_fate]} "
                "now: nothing is changed. Look at the tenant again"
            )
        if not self._is_under_way:
            return policy or _policy_of(recorded_fate)
        recorded: set[OnDelete] = self.deployed.policies if self.deployed else set()
        if self.deployed and policy and recorded != {policy}:
            fate = (
                FATES[self.deployed.on_delete] if recorded else "treated as recorded before its buckets left the state"
            )
            raise UserError(
                f"a removal of {self.tenant} has begun, and the last update recorded that its data is to be {fate}. "
                f"To complete it, run `./opstrace tenants remove {self.tokens.provider} {self.file.owner} {self.tenant}`"
            )
        self._terminal.note(f"An earlier removal of {self.tenant} has begun, and resumes.")
        return _policy_of(recorded_fate)

    def _record(self, policy: OnDelete, place: Place) -> None:
        """Record the policy for the data in the state, because a deletion follows the policy of the last update."""
        self._terminal.note(f"Recording that the data of {self.tenant} is to be {FATES[policy]}:")
        place.entry["onDelete"] = policy
        self.file.check()
        self.file.write()
        self.target.update()

    def _delete(self, decision: Decision) -> Plan | None:
        """Delete the tenant with its own stack, or by an update of the instance's stack; return the plan.

        One edit of the instance's file removes the entry and revokes the tokens, so that a kill leaves both or neither.
        """
        if self.place and self.place.alone:
            deployed = recorded_state.user_tenants(self.target.engine.state())
            intended = plan({}, deployed, self.target.aws)
            self._terminal.plan(f"{intended}")
            if self.target.engine.exists():
                self.target.destroy()
            self.file.remove()
            return intended
        if self.place:
            self.file.entry("tenants").remove(self.place.entry)
        decision.write(self.file)
        if self.file.difference():
            show_difference(self.file, self._terminal)
        before = announce(self.file, self.config, Allowed(self.tenant))
        return write_and_apply(self.target.context, self.file, self.tokens.provider, no_apply=False, before=before)

    def _note_retained_data(self) -> None:
        """Print what S3 has of a tenant without buckets in the state: an earlier tenant's, or its own after a kill."""
        tagged = stores.tagged_stores(self.target.aws, self.file.owner, self.tenant)
        ids = ", ".join(store.id for store in tagged)
        self._terminal.note(
            f"No bucket of {self.tenant} was left in the state. "
            + (f"Retained is {ids}: `./opstrace tenants data` manages it." if ids else "None is retained.")
        )


def _policy_of(recorded: Fate) -> OnDelete:
    """Return the policy of a removal that the user leaves as recorded. One that has begun to delete data deletes the rest."""
    return "retain" if recorded == "retain" else "purge"


def read_back(
    tenant: str, policy: OnDelete, names: Mapping[str, str], contents: buckets.Contents, target: Target
) -> dict[str, Any]:
    """Check a removed tenant's buckets; return what is left, as `--json` has it.

    `names` are the buckets by kind, `contents` is what they held before. Raises `UserError` with each bucket that
    is gone but was to be kept, or remains but was to be deleted.
    """
    aws, seconds, terminal = target.aws, target.context.bucket_gone_seconds, target.context.terminal
    with terminal.step(f"reading back what is left of {tenant}"):
        if policy == "purge":
            left = {kind: bucket for kind, bucket in names.items() if not buckets.is_gone(aws, bucket, seconds)}
        else:
            left = {kind: bucket for kind, bucket in names.items() if buckets.exists(aws, bucket)}
    if policy == "retain":
        kept = buckets.contents(aws, left.values())
        terminal.note(
            f"The data of {tenant} is kept in {len(left)} buckets: {kept}. `./opstrace tenants data` manages it."
        )
        lost = ", ".join(names[kind] for kind in names if kind not in left)
        if lost:
            raise UserError(f"the data of {tenant} was to be kept, but {lost} no longer exists")
        return {"buckets": left, **kept.plain()}
    if left:
        remaining = buckets.contents(aws, left.values())
        raise UserError(
            f"the data of {tenant} was to be deleted, but {', '.join(left.values())} still exists, with {remaining}, "
            f"{remaining.versions:,} old versions and {remaining.uploads:,} unfinished uploads. "
            "To delete it, run `./opstrace tenants data purge`"
        )
    terminal.note(
        f"Nothing is left of the data of {tenant}: {len(names)} buckets are gone. They held {contents}, {contents.versions:,} old "
        f"versions and {contents.uploads:,} unfinished uploads, besides the last writes of its pods."
    )
    return {"buckets": {}, **buckets.Contents().plain()}
