"""The Pulumi engine for one stack: the operations that the `opstrace` command uses."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.core.errors import UserError
from scripts.clients.aws import Clients
from scripts.clients.kubernetes import Cluster
from scripts.engine.operations import Operations, change_states
from scripts.engine.process import COLLECTOR, Engines, Pulumi
from scripts.engine.recovery import Recovery
from scripts.engine.secrets_provider import options, require_secrets_provider
from scripts.engine.stack_state import Operation, StackReader, resources_in
from scripts.stackfile.file import ROOT
from scripts.ui.output import STDERR, Output

__all__ = ["COLLECTOR", "Engine"]

REMOVAL = threading.Lock()  # engines side by side remove stacks one after the other: each asks which stack is selected


class Engine:
    """`pulumi` in one environment, for one stack of the project in a folder.

    Operations raise `UserError` if they fail. Their output goes to `output`. With `engines`, they run beside others.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        instance: str,
        project: Path = ROOT,
        output: Output = STDERR,
        engines: Engines | None = None,
    ) -> None:
        self.instance = instance
        self._pulumi = Pulumi(environment, project, output, engines)
        self._reader = StackReader(self._pulumi, instance)
        self._operations = Operations(self._pulumi, instance)
        self._recovery = Recovery(self._reader, self._operations, output.note)
        # What is known of the stack: each question to the engine takes half a second.
        self._is_absent = self._is_new = False

    def stacks(self) -> list[str]:
        """Return the names of all stacks of the project in this backend."""
        return self._reader.stacks()

    def last_updates(self) -> dict[str, str]:
        """Return when each stack of the project was last updated, an instant of RFC 3339 in UTC; "" where the backend tells none."""
        return self._reader.last_updates()

    def exists(self) -> bool:
        """Tell whether the stack exists."""
        return self._reader.export_if_any() is not None

    def resources(self) -> list[dict[str, Any]]:
        """Return the resources in the stack's state."""
        return resources_in(self._reader.export())

    def state(self) -> list[dict[str, Any]]:
        """Return the resources in the stack's state; none if the stack does not exist."""
        exported = self._reader.export_if_any()
        self._is_absent = exported is None
        return resources_in(exported or {})

    def has_succeeded(self) -> bool:
        """Tell whether any update of the stack succeeded."""
        return "succeeded" in self._reader.results()

    def operations(self, most: int) -> list[Operation]:
        """Return the last `most` operations of the stack, the newest first."""
        return self._reader.operations(most)

    def require_secrets_provider(self, recorded: Mapping[str, str], provider: str | None) -> None:
        """Raise `UserError` where the secrets of the state cannot be encrypted, as the function of that name does."""
        require_secrets_provider(self._pulumi, self.instance, recorded, provider)

    def ensure_stack(self, *, select: bool = True, secrets_provider: str | None = None) -> None:
        """Create the stack if it does not exist. `select` makes it the one that plain `pulumi up` applies.

        The stack remembers its secrets provider, None for the default of the backend.
        """
        if self._is_absent or not self.exists():
            self.create_stack(secrets_provider)
        if select:
            problem = self._selection_problem(self.instance)
            if problem:
                raise UserError(problem)

    def _selection_problem(self, stack: str) -> str:
        """Make a stack the one that plain `pulumi up` applies; return why that failed, "" after success."""
        completed = self._pulumi.capture("stack", "select", stack)
        return f"the stack {stack} cannot be selected: {completed.stderr.strip()}" if completed.returncode else ""

    def create_stack(self, secrets_provider: str | None = None) -> None:
        """Create the stack, which must not exist; None is the default secrets provider of the backend."""
        completed = self._pulumi.capture("stack", "init", "--no-select", *options(secrets_provider), self.instance)
        if completed.returncode:
            raise UserError(f"the stack {self.instance} cannot be created: {completed.stderr.strip()}")
        self._is_absent, self._is_new = False, True

    def require_programs(self) -> None:
        """Install missing plugins; raises `UserError` where a program that an operation needs is missing."""
        self._operations.require_programs()

    def run(self, *arguments: str) -> None:
        """Run an operation with its output passed on, as `Operations.run` does."""
        self._operations.run(*arguments)

    def settle(self, aws: Clients, cluster: Cluster, *, thorough: bool = False) -> bool:
        """Take resources that a killed update created into the state, as `Recovery.settle` does."""
        return self._recovery.settle(aws, cluster, thorough=thorough)

    def require_nothing_left_alone(self) -> None:
        """Raise `UserError` if `settle` met resources for which the state has no place."""
        self._recovery.require_no_orphans()

    def up(self, aws: Clients, cluster: Cluster) -> None:
        """Apply the stack's configuration, after the resources of a killed update are settled.

        A stack that this engine has just created has had no update.
        """
        if not self._is_new:
            self.settle(aws, cluster)
        self._is_new = False
        self.apply()

    def apply(self) -> None:
        """Apply the stack's configuration. Use `up` where an earlier update may have been killed."""
        self.run("up", "--yes", "--skip-preview")

    def preview(self) -> None:
        """Show what an update would change."""
        self.run("preview")

    def adopt(self, resources: Mapping[str, Any]) -> None:
        """Take existing resources into the state, in the form of `pulumi import --file`; protected until an `up`."""
        self._operations.run_with(resources, "import", "--yes", "--skip-preview", "--generate-code=false")

    def move(self, urn: str, to: "Engine") -> None:
        """Move a component with all its children into another stack's state; the resources themselves stay as they are."""
        stacks = (self._operations, to._operations)
        options = ("--source", self.instance, "--dest", to.instance)
        completed = change_states(self._pulumi, stacks, "move", *options, urn)
        if completed.returncode:
            raise UserError(
                f"the state of {self.instance} cannot be moved to {to.instance}: {completed.stderr.strip()}"
            )
        to._is_new = False

    def forget(self, urn: str) -> None:
        """Remove a component with all its children from the state, even if protected; the resources themselves stay."""
        options = ("--force", "--target-dependents", "--stack", self.instance)
        completed = change_states(self._pulumi, (self._operations,), "delete", urn, *options)
        if completed.returncode:
            raise UserError(f"{urn} cannot be removed from the state of {self.instance}: {completed.stderr.strip()}")

    def destroy(self, aws: Clients, cluster: Cluster) -> None:
        """Delete every resource and the stack, after the resources of a killed update are settled."""
        self.settle(aws, cluster)
        self.clear()

    def clear(self) -> None:
        """Delete every resource in the state, then the stack."""
        self.run("destroy", "--yes", "--skip-preview")
        with REMOVAL:
            self._remove_stack()

    def _remove_stack(self) -> None:
        """Remove the stack. Another of this backend that is selected stays so: `pulumi stack rm` selects none, whichever it was."""
        selected = self._pulumi.capture("stack", "--show-name").stdout.strip()  # "" if there is none
        completed = self._pulumi.capture("stack", "rm", "--yes", "--preserve-config", self.instance)
        if completed.returncode:
            raise UserError(f"the stack {self.instance} cannot be removed: {completed.stderr.strip()}")
        problem = self._selection_problem(selected) if selected not in ("", self.instance) else ""
        if problem:
            self._pulumi.output.note(f"{problem}; select one: pulumi stack select")
