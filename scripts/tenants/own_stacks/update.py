"""The update of one stack among several: what it does to tenants, whether it may run, and its work."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from components.core.errors import UserError
from scripts.tenants import recorded_state
from scripts.tenants.locate import settings_by_tenant
from scripts.tenants.plan import Plan, plan
from scripts.tenants.safety import check_update_is_safe
from scripts.updates.batch import Job

if TYPE_CHECKING:
    from collections.abc import Mapping

    from components.config.stack import StackConfig
    from scripts.context.context import Target
    from scripts.engine.pulumi import Engine
    from scripts.stackfile.file import StackFile


@dataclass(frozen=True)
class StackUpdate:
    """The update of a stack to its file.

    Attributes:
        file: Its file, of an instance or of a tenant.
        exists: Whether the backend has the stack.
        deployed: The tenants in its state.
        plan: What the update does to tenants; None where it may not run.
        refusal: Why it may not run; None where it may.
    """

    file: StackFile
    exists: bool
    deployed: Mapping[str, recorded_state.Applied] = field(default_factory=dict)
    plan: Plan | None = None
    refusal: UserError | None = None

    @property
    def name(self) -> str:
        """The name of the stack."""
        return self.file.instance

    def job(self, target: Target, secrets_provider: str | None) -> Job:
        """Return the work. A new stack gets the secrets provider of its instance, None for the backend's default."""
        return Job(self.name, partial(self._apply, target, secrets_provider))

    def preview(self) -> Job:
        """Return the work of a preview."""
        return Job(self.name, self._preview)

    def _apply(self, target: Target, secrets_provider: str | None, engine: Engine) -> None:
        self._require_allowed()
        if self.exists:
            engine.up(target.aws, target.cluster)
        else:  # nothing of an earlier update to look for
            engine.create_stack(secrets_provider)
            engine.apply()

    def _preview(self, engine: Engine) -> None:
        self._require_allowed()
        engine.preview()

    def _require_allowed(self) -> None:
        if self.refusal:
            raise self.refusal


def planned(target: Target, config: StackConfig, file: StackFile, *, exists: bool) -> StackUpdate:
    """Return the update of a stack to its file, by the stack's state; `config` is the instance's configuration."""
    deployed: Mapping[str, recorded_state.Applied] = {}
    try:
        state = target.context.engine(target.provider, file.instance).state() if exists else []
        deployed = recorded_state.tenants(state)
        check_update_is_safe(file, config, deployed, target.cluster)
        intended = plan(settings_by_tenant(file, config), deployed, target.aws)
        return StackUpdate(file, exists, deployed, intended)
    except UserError as refused:
        return StackUpdate(file, exists, deployed, refusal=refused)
