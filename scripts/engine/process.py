"""The `pulumi` program: where it is, its environment, its output, and a second try where it reads half-written files."""

import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tenacity

from components.core.errors import HALF_WRITTEN, HALF_WRITTEN_SECONDS, UserError
from components.core.resource_names import PROJECT
from scripts.engine import locks
from scripts.engine.state_repair import backend_url, mend, stacks_with_state
from scripts.stackfile.file import ROOT
from scripts.ui.output import STDERR, Output

# The engine's memory grows with the stack. A garbage collection at 400% instead of Go's default of 100% costs little
# memory and saves time (docs/explanation/scale.md has the figures).
COLLECTOR = {"GOGC": "400"}
# With it, the engine knows the option --event-log. Pulumi's Automation API sets it for the same reason.
DEBUG_COMMANDS = {"PULUMI_DEBUG_COMMANDS": "true"}
# What `pulumi destroy` advises at its end. The command removes the stack itself (pulumi/pkg/cmd/pulumi/operations/destroy.go).
ADVICE = re.compile(
    r"^The resources in the stack have been deleted, but|^If you want to remove the stack completely, run"
)

Completed = subprocess.CompletedProcess[str]


class Engines:
    """Engines that run side by side. Each has a process group of its own: the terminal's Ctrl-C does not reach it.

    So each engine gets as many interrupts as the command. The first lets it end its requests, the second ends it at once.
    """

    def __init__(self) -> None:
        self.interrupted = False
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.RLock()  # a signal handler may come while its thread has the lock

    def start(self, command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        """Start an engine; raises `InterruptedEngineError` after an interrupt."""
        with self._lock:
            if self.interrupted:
                raise InterruptedEngineError("interrupted before the engine started")
            process = subprocess.Popen(command, process_group=0, stdin=subprocess.DEVNULL, **options)
            self._running.add(process)
            return process

    def forget(self, process: subprocess.Popen[str]) -> None:
        """Leave out a process that has ended."""
        with self._lock:
            self._running.discard(process)

    def interrupt(self) -> bool:
        """Interrupt the engines that run, and start no other; return whether one runs."""
        with self._lock:
            self.interrupted = True
            for process in self._running:
                process.send_signal(signal.SIGINT)
            return bool(self._running)


class InterruptedEngineError(UserError):
    """The command was interrupted, so an engine is not started."""


class Pulumi:
    """The `pulumi` CLI in one environment. It runs in the project's folder and never prompts.

    Its output goes to `output`. With `engines`, it runs beside others.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        project: Path = ROOT,
        output: Output = STDERR,
        engines: Engines | None = None,
    ) -> None:
        self.environment, self.project = COLLECTOR | DEBUG_COMMANDS | dict(environment), project
        self.output, self._engines = output, engines
        program = shutil.which("pulumi", path=self.environment.get("PATH"))
        if not program:
            raise UserError("pulumi is not on PATH; install it (pulumi.com/docs/install), or use the provider `local`")
        self.program = program

    def require_program(self) -> None:
        """Raise `UserError` if the virtual environment that Pulumi.yaml names for the program does not exist."""
        environment = self.project / ".venv"
        if not (environment / "bin" / "python").exists():
            raise UserError(
                f"the Pulumi program runs in {environment}, which does not exist; "
                "run ./opstrace once in the checkout: it makes this environment"
            )

    def _command(self, *arguments: str) -> list[str]:
        return [self.program, "--non-interactive", *arguments]

    def capture(self, *arguments: str) -> Completed:
        """Run a command and return its exit code and output."""
        command = self._command(*arguments)
        group = None if self._engines is None else 0  # it reads, and may end its work after an interrupt
        return subprocess.run(
            command,
            cwd=self.project,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            process_group=group,
        )

    def read(self, stack: str | None, *arguments: str) -> Completed:
        """Run a command that reads a stack's state, of all stacks for None, and return its exit code and output.

        The file backend does not replace a state file at once, so a reader may see half of one. The command is
        tried again for 5 s. A file that is still incomplete was left by a killed engine; it is repaired first.
        """
        completed = self._read_with_retry(*arguments)
        if not _read_half_a_file(completed):
            return completed
        url = backend_url(self.environment)
        stacks = stacks_with_state(url, PROJECT) if stack is None else [stack]
        for repair in [repair for one in stacks for repair in mend(url, PROJECT, one)]:
            self.output.note(f"State files: {repair}.")
        return self.capture(*arguments)  # also where another thread made the repair

    def _read_with_retry(self, *arguments: str) -> Completed:
        retrying: Any = tenacity.Retrying(  # one for each call: several threads read
            retry=tenacity.retry_if_result(_read_half_a_file),
            stop=tenacity.stop_after_delay(HALF_WRITTEN_SECONDS),
            wait=tenacity.wait_random(0.1, 0.4),
            retry_error_callback=lambda attempts: attempts.outcome and attempts.outcome.result(),
        )
        completed: Completed = retrying(self.capture, *arguments)
        return completed

    def show(self, *arguments: str) -> str | None:
        """Run a command with its output passed on. Return None if it succeeds, else what it wrote to stderr."""
        has_colors = self.output.has_colors and "NO_COLOR" not in self.environment
        process = self._start(self._command(*arguments, *(("--color", "always") if has_colors else ())))
        output = threading.Thread(
            target=self._pass_on, args=(iter(process.stdout or ()), [], ADVICE.search), daemon=True
        )
        output.start()
        lines = iter(process.stderr or ())
        shown: list[str] = []
        try:
            self._pass_on(lines, shown, locks.is_about)  # the command has its own message for locks
        except KeyboardInterrupt:
            # The terminal interrupted the engine too. It releases its lock before it ends.
            self._pass_on(lines, shown, locks.is_about)
            process.wait()
            raise
        output.join()
        status = process.wait()
        if self._engines is not None:
            self._engines.forget(process)
        if status < 0:
            self.output.note(f"The engine was killed by {signal.Signals(-status).name}.")
        return "".join(shown) if status else None

    def _start(self, command: Sequence[str]) -> subprocess.Popen[str]:
        start: Any = subprocess.Popen if self._engines is None else self._engines.start
        process: subprocess.Popen[str] = start(
            command,
            cwd=self.project,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        return process

    def _pass_on(self, lines: Iterator[str], shown: list[str], is_hidden: Callable[[str], object]) -> None:
        for line in lines:
            shown.append(line)
            if not is_hidden(line):
                self.output.line(line)


def _read_half_a_file(completed: Completed) -> bool:
    return completed.returncode != 0 and HALF_WRITTEN.search(completed.stderr) is not None
