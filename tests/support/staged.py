"""The page of the pictures with an engine that a test leads: `python -m tests.support.staged FOLDER`.

A file in the folder says how updates go on: they complete, they wait, or their engine is killed.
"""

import json
import sys
from pathlib import Path
from typing import Any

from components.core.errors import UserError
from components.core.resource_names import BUCKET_TYPE, STATEFUL_SET_TYPE, build_urn
from localcloud.files import write_whole
from scripts.checks.finding import ok, warning
from scripts.ui.output import Output
from tests.support import explored, pictured
from tests.support.page import applied
from tests.support.pictured import History, PicturedContext, serve_data
from tests.support.polling import eventually
from tests.support.tenant_apis import Asked, TenantApis

STAGE = "stage"
COMPLETES, WAITS, IS_KILLED = "completes", "waits", "is killed"
LONGEST_WAIT = 600  # seconds
# As AWS refuses a request: a long text, with a word that is wider than a small window.
REFUSED = "\n".join(
    f"AccessDenied: no identity-based policy allows the s3:CreateBucket action on arn:aws:s3:::{name}"
    for name in (f"showdown-shop-metrics-{number:02}-{'0a0b0c0d' * 12}" for number in range(20))
)
DONE = {f"default-{name}-bucket": BUCKET_TYPE for name in ("config", "logs", "metrics")}
AT_WORK = {f"default-{name}-stateful-set": STATEFUL_SET_TYPE for name in ("cortex", "loki")}


def stage(folder: Path, result: str) -> None:
    """Let updates of the page of a folder go on like this, also one that waits."""
    write_whole(folder / STAGE, result)


def apply(folder: Path, states: dict[str, list[dict[str, Any]]]) -> None:
    """Let the states be those after an update of all stacks of a folder. S3 keeps the data of tenants that are deleted."""
    for stack, entries in applied(folder).items():
        states[stack] = [
            entry | {"retainOnDelete": True} if entry["type"] == BUCKET_TYPE else entry for entry in entries
        ]


class StagedEngine(History):
    """An engine that tells of an update as the real one does, and goes on as the file says."""

    def __init__(self, folder: Path, states: dict[str, list[dict[str, Any]]], stack: str, output: Output) -> None:
        super().__init__(folder, states, [], stack)
        self._folder, self._output = folder, output

    def up(self, *_: Any) -> None:
        log = self._output.event_log()
        assert log, "only the page starts updates"
        for name, kind in (DONE | AT_WORK).items():
            self._tell(log, "resourcePreEvent", {"metadata": {"urn": self._urn(kind, name), "op": "create"}})
        for name, kind in DONE.items():
            self._tell(log, "resOutputsEvent", {"metadata": {"urn": self._urn(kind, name), "op": "create"}})
            self._output.line(f" +  {kind} {name} created {self._urn(kind, name)}\n")
        eventually(lambda: self._stage() != WAITS, LONGEST_WAIT, 0.1)
        if self._stage() == IS_KILLED:
            self._tell(log, "diagnosticEvent", {"severity": "error", "message": REFUSED})
            self._output.note("The engine was killed by SIGKILL.")
            raise UserError(f"`pulumi up` failed; see {self._output.place}, then run this again")
        self._tell(log, "summaryEvent", {})
        apply(self._folder, self._states)

    def settle(self, *_: Any) -> None:
        """Find no resources of a killed update."""

    def _urn(self, kind: str, name: str) -> str:
        return build_urn(self.instance, kind, name)

    def _stage(self) -> str:
        file = self._folder / STAGE
        return file.read_text() if file.exists() else COMPLETES

    @staticmethod
    def _tell(log: Path, event: str, content: dict[str, Any]) -> None:
        with log.open("a") as file:
            file.write(f"{json.dumps({event: content})}\n")


def answer(asked: Asked) -> tuple[int, Any]:
    """Answer as the APIs of the pictures do, also with names for the editor, and with an error."""
    is_explored = asked.path in explored.NAMES or asked.query.get("query") == explored.BROKEN
    return explored.answer(asked) if is_explored else pictured.answer(asked)


class StagedContext(PicturedContext):
    """A context whose engines a test leads, and whose checks find something."""

    def __init__(self, folder: Path, states: dict[str, list[dict[str, Any]]], **parts: Any) -> None:
        super().__init__(folder, states, **parts)
        self.gateway = TenantApis(answer).client
        apply(folder, states)
        remedy = "ask AWS for more, at https://console.aws.amazon.com/servicequotas/home/services/elasticloadbalancing"
        self.findings = [
            ok("subnets", "2 subnets in 2 zones"),
            warning("load balancers", "46 of 50 are used", remedy),
        ]

    def engine(self, provider: Any, stack: str, output: Output | None = None, engines: Any = None) -> Any:
        return StagedEngine(self.stacks, self.states, stack, output or self.output)


if __name__ == "__main__":
    serve_data(Path(sys.argv[1]), StagedContext, "aws")
