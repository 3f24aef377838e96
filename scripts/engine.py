"""The Pulumi engine, called as a person would: the plain CLI, its output passed through."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from typing import Any

import tenacity

from components.errors import UserError
from scripts import locks
from scripts.aws import Clients
from scripts.cluster import Cluster
from scripts.pending import found_again, settled
from scripts.stackfile import ROOT
from scripts.state_files import backend_url, mend
from scripts.terminal import note

PROJECT = "opstrace"  # as in Pulumi.yaml
# Go's collector runs less often than by its default of 100: the engine's memory grows with the stack, and is soon gone
# again (docs/scale.md says what it is worth).
COLLECTOR = {"GOGC": "400"}
NO_STACK = "no stack named"
HALF_WRITTEN = re.compile(r"\bEOF\b|unexpected end of JSON")


def _is_half_read(done: subprocess.CompletedProcess[str]) -> bool:
    return done.returncode != 0 and HALF_WRITTEN.search(done.stderr) is not None


def _resources(exported: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list((exported.get("deployment") or {}).get("resources") or [])


def _why(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a preview that failed, whose output is JSON, says of it."""
    try:
        said = json.loads(done.stdout).get("diagnostics") or []
    except ValueError:
        said = []
    errors = [entry["message"].strip() for entry in said if entry.get("severity") == "error"]
    return "; ".join(errors) or (done.stderr or done.stdout).strip()


class Engine:
    """`pulumi` in one environment, for one stack."""

    def __init__(self, environment: Mapping[str, str], instance: str) -> None:
        self._environment = COLLECTOR | dict(environment)
        self.instance = instance
        self._left_alone = False
        found = shutil.which("pulumi", path=self._environment.get("PATH"))
        if not found:
            raise UserError("pulumi is not on PATH; install it (pulumi.com/docs/install), or use the provider `local`")
        self._pulumi = found

    def _command(self, *arguments: str) -> list[str]:
        return [self._pulumi, "--non-interactive", *arguments]

    def _quiet(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command(*arguments), cwd=ROOT, env=self._environment, capture_output=True, text=True
        )

    def _read_once_whole(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        retrying: Any = tenacity.Retrying(  # one for each call: they are made by several threads
            # The file backend does not replace a state at once: who reads while it is written sees half of it.
            retry=tenacity.retry_if_result(_is_half_read),
            stop=tenacity.stop_after_delay(5),
            wait=tenacity.wait_random(0.1, 0.4),
            retry_error_callback=lambda attempts: attempts.outcome and attempts.outcome.result(),
        )
        done: subprocess.CompletedProcess[str] = retrying(self._quiet, *arguments)
        return done

    def _read(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = self._read_once_whole(*arguments)
        if not _is_half_read(done):
            return done
        # Nobody writes it any more: an engine was killed at it.
        for what in mend(backend_url(self._environment), PROJECT, self.instance):
            note(f"The engine's state: {what}.")
        return self._quiet(*arguments)  # if not by this, it may have been mended by another thread

    def _answer(self, what: str, *arguments: str) -> Any:
        return self._decoded(what, self._read(*arguments, "--stack", self.instance))

    def _decoded(self, what: str, done: subprocess.CompletedProcess[str]) -> Any:
        if done.returncode:
            raise UserError(f"{what} of {self.instance} cannot be read: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def stacks(self) -> list[str]:
        """Return the names of all stacks of the project in this backend."""
        done = self._read("stack", "ls", "--json")
        if done.returncode:
            raise UserError(f"the engine's backend does not answer: {done.stderr.strip()}")
        return [entry["name"].rsplit("/", 1)[-1] for entry in json.loads(done.stdout)]

    def ensure_stack(self, *, select: bool = True) -> None:
        """Make the stack where it is not there, and if `select`, let plain `pulumi up` mean it."""
        if not self.exists():
            done = self._quiet("stack", "init", "--no-select", self.instance)
            if done.returncode:
                raise UserError(f"the stack {self.instance} cannot be made: {done.stderr.strip()}")
        if select:
            self._quiet("stack", "select", self.instance)

    def _updates(self) -> list[str]:
        """Return how each update of the stack ended, the newest first."""
        history = self._answer("the history", "stack", "history", "--json", "--page-size", "0")
        return [entry["result"] for entry in history if entry["kind"] == "update"]

    def has_succeeded(self) -> bool:
        """Tell whether an update of the stack ever succeeded, whatever happened to it since."""
        return "succeeded" in self._updates()

    def resources(self) -> list[dict[str, Any]]:
        """Return the resources in the stack's state."""
        return _resources(self._answer("the state", "stack", "export"))

    def state(self) -> list[dict[str, Any]]:
        """Return the resources in the stack's state; none where there is no such stack yet."""
        return _resources(self._state_if_any() or {})

    def exists(self) -> bool:
        """Tell whether there is such a stack."""
        return self._state_if_any() is not None

    def _state_if_any(self) -> dict[str, Any] | None:
        """Return the exported state. No list of all stacks is asked for: the engine reads all their states for it."""
        done = self._read("stack", "export", "--stack", self.instance)
        if done.returncode and NO_STACK in done.stderr:
            return None
        return dict(self._decoded("the state", done))

    def run(self, *arguments: str) -> None:
        """Run an operation with its output on stderr; raises `UserError` when it fails.

        A lock that a process of this machine left when it was killed is cleared first.
        """
        said = self._run_once(*arguments)
        if said is not None and self._cleared(said):
            said = self._run_once(*arguments)
        if said is not None:
            raise UserError(f"`pulumi {arguments[0]}` failed; what it says stands above, and it can be run again")

    def _run_once(self, *arguments: str) -> str | None:
        """Return None, or what was said on stderr by an operation that failed."""
        command = self._command(*arguments, "--stack", self.instance)
        process = subprocess.Popen(
            command, cwd=ROOT, env=self._environment, stdout=sys.stderr, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr
        said: list[str] = []
        try:
            self._pass_on(process.stderr, said)
        except KeyboardInterrupt:
            # The engine was interrupted too, at the same terminal: it gives its lock back when it is done.
            self._pass_on(process.stderr, said)
            process.wait()
            raise
        return "".join(said) if process.wait() else None

    @staticmethod
    def _pass_on(lines: Iterable[str], said: list[str]) -> None:
        for line in lines:
            said.append(line)
            if not locks.is_about(line):  # explained in our own words
                sys.stderr.write(line)

    def _cleared(self, said: str) -> bool:
        """Clear the locks that `said` complains of if their owners are dead; return False if there are none."""
        found = locks.dead_ones(said, self.instance)
        if found:
            locks.clear_once(found, self._cancel)
        return bool(found)

    def _cancel(self) -> None:
        done = self._quiet("cancel", "--yes", self.instance)
        if done.returncode:
            raise UserError(f"the lock of the stack {self.instance} cannot be cleared: {done.stderr.strip()}")

    @staticmethod
    def _pending(state: dict[str, Any]) -> bool:
        return bool((state.get("deployment") or {}).get("pending_operations"))

    def _last_update_failed(self) -> bool:
        updates = self._updates()
        return bool(updates) and updates[0] != "succeeded"

    def _planned(self) -> list[dict[str, Any]]:
        """Return what an update would create, as the state would hold it."""
        done = self._read("preview", "--json", "--stack", self.instance)
        if done.returncode:
            raise UserError(
                f"what a failed update of {self.instance} may have made cannot be looked for, since a preview fails; "
                f"let the stack's file say what can be applied, then run this again: {_why(done)}"
            )
        kinds = ("create", "create-replacement", "replace")
        steps = json.loads(done.stdout)["steps"]
        return [step["newState"] for step in steps if step["op"] in kinds and step["newState"].get("custom")]

    def settle(self, aws: Clients, cluster: Cluster, *, thorough: bool = False) -> bool:
        """Take into the state what a killed update made without having noted its id; return whether one was looked for.

        Where an engine was killed its pending operations tell of it, where a plugin was, the failed update does;
        with `thorough` it is looked for whatever they tell.
        """
        state = self._answer("the state", "stack", "export")
        if not (thorough or self._pending(state) or self._last_update_failed()):
            return False
        # Takes the lock: what is pending now is pending for good, and not the work of an update that runs.
        self.run("refresh", "--yes", "--skip-preview", "--skip-pending-creates")
        state = self._answer("the state", "stack", "export")
        if self._pending(state):
            done = settled(state, aws, cluster)
            count = len(done.taken) + len(done.dropped) + len(done.beyond)
            note(f"The last update was killed at work: of {count} creates it is not known how they went.")
            for urn in done.taken:
                note(f"  looked up and taken into the state, if it is there: {urn.rsplit('::', 1)[-1]}")
            for urn in done.dropped:
                note(f"  not there, or harmless to do again: {urn.rsplit('::', 1)[-1]}")
            for urn, there in done.beyond.items():
                note(
                    f"  no place in the state any more, what it leans on was destroyed: {urn.rsplit('::', 1)[-1]}: {there}"
                )
            self._left_alone |= bool(done.beyond)
            self._replace_state(state, done.state)
        if not _resources(state):
            return True
        planned = self._planned()
        state = self._answer("the state", "stack", "export")
        mended, taken = found_again(state, planned, aws, cluster)
        for urn in taken:
            note(f"Made by an update that failed, and taken into the state: {urn.rsplit('::', 1)[-1]}.")
        if taken:
            self._replace_state(state, mended)
        return True

    def require_nothing_left_alone(self) -> None:
        """Raise `UserError` where `settle` met what may be there and has no place in the state any more."""
        if self._left_alone:
            raise UserError(
                "what is named above as without a place in the state was being made by an update that was killed; look whether "
                "it is there, and delete it by hand"
            )

    def _replace_state(self, state: dict[str, Any], mended: dict[str, Any]) -> None:
        """Put `mended` in the place of `state`, and let the engine read what is there of it."""
        if self._answer("the state", "stack", "export") != state:
            raise UserError(f"the stack {self.instance} was changed by somebody else meanwhile; run this again")
        self._run_with(mended, "stack", "import")
        self.run("refresh", "--yes", "--skip-preview")

    def _run_with(self, content: Mapping[str, Any], *arguments: str) -> None:
        """Run an operation that reads `content` from a JSON file."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:  # 0600
            json.dump(content, file)
            file.flush()
            self.run(*arguments, "--file", file.name)

    def up(self, aws: Clients, cluster: Cluster) -> None:
        """Apply the stack's configuration, after what an update that was killed left is settled."""
        self.settle(aws, cluster)
        self.run("up", "--yes", "--skip-preview")

    def adopt(self, resources: Mapping[str, Any]) -> None:
        """Take what is there already into the state, as `pulumi import --file` describes it; protected until an `up`."""
        self._run_with(resources, "import", "--yes", "--skip-preview", "--generate-code=false")

    def move(self, urn: str, to: "Engine") -> None:
        """Move a component with all its children into the state of another stack; nothing outside the states changes."""
        done = self._change_state((self, to), "move", "--source", self.instance, "--dest", to.instance, urn)
        if done.returncode:
            raise UserError(f"the state of {self.instance} cannot be moved to {to.instance}: {done.stderr.strip()}")

    def forget(self, urn: str) -> None:
        """Take a component with all its children out of the state, protected or not; what they stand for stays."""
        options = ("--force", "--target-dependents", "--stack", self.instance)
        done = self._change_state((self,), "delete", urn, *options)
        if done.returncode:
            raise UserError(f"{urn} cannot be taken out of the state of {self.instance}: {done.stderr.strip()}")

    def _change_state(self, stacks: Iterable["Engine"], verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run an operation on the states of `stacks`, after dead locks of theirs are cleared."""
        done = self._quiet("state", verb, "--yes", *arguments)
        for engine in stacks:  # one lock a stack, the next is met once the one before is gone
            if done.returncode and f"/{engine.instance}/" in done.stderr and engine._cleared(done.stderr):
                done = self._quiet("state", verb, "--yes", *arguments)
        return done

    def destroy(self, aws: Clients, cluster: Cluster) -> None:
        """Remove every resource, then the stack itself, after what an update that was killed left is settled."""
        self.settle(aws, cluster)
        self.clear()

    def clear(self) -> None:
        """Remove every resource that the state knows, then the stack itself."""
        self.run("destroy", "--yes", "--skip-preview")
        done = self._quiet("stack", "rm", "--yes", "--preserve-config", self.instance)
        if done.returncode:
            raise UserError(f"the stack {self.instance} cannot be removed: {done.stderr.strip()}")
