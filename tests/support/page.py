"""A page about the instance `showdown` for tests, with an engine and a cluster of the test, and browsers of Starlette's test client."""

import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.config.tenant import exported
from components.core.names import BUCKET_KINDS, bucket_prefix
from components.core.resource_names import BUCKET_TYPE, TENANT_TYPE, bucket_name, build_urn, tenant_name
from components.shared.startup import disable_garbage_collector
from scripts.checks.finding import Finding
from scripts.clients.aws import Clients
from scripts.engine.stack_state import Operation, operation_of
from scripts.stackfile.file import StackFile, own_stack_tenants
from scripts.tenants.locate import settings_in_instance
from scripts.tenants.retained_data.stores import ID_LENGTH
from scripts.web.app import application
from scripts.web.changes.change import Change
from scripts.web.page import Page
from scripts.web.server import Options, leave, serve
from scripts.web.sessions import Sessions
from tests.support.contexts import EmptyCluster, FakeContext
from tests.support.polling import eventually
from tests.support.s3_stores import ID

if TYPE_CHECKING:
    from starlette.testclient import TestClient

PORT = 4711
URL = f"http://127.0.0.1:{PORT}"
CREATED = "2026-01-01T00:00:00Z"
ORIGIN = {"Origin": URL}
CHECKS_BEGIN, CHECKED = "The checks begin.", "checked"  # a line of the terminal, and the file after which they end
# As `pulumi stack history --json` prints it, shortened.
HISTORY: list[dict[str, Any]] = [
    {
        "kind": "update",
        "startTime": "2026-11-30T13:11:02.000Z",
        "message": "ann@desk: opstrace tenants add <script>",
        "environment": {"git.author": "Bob", "pulumi.flag.message": "set"},
        "config": {"opstrace:secret": {"value": "hidden", "secret": False}},
        "result": "succeeded",
        "resourceChanges": {"create": 30, "same": 90, "delete": 0},
    },
    {
        "kind": "destroy",
        "startTime": "2026-11-30T12:00:00.000Z",
        "message": "first@commit: a subject",
        "environment": {"git.author": "Bob"},
        "result": "failed",
    },
]


def history_of(stack: str) -> list[dict[str, Any]]:
    """Return the history of a stack. That of a tenant is one update, at the minute that is the number in the name."""
    number = re.fullmatch(r"showdown\.\D+(\d+)", stack)
    if number is None:
        return HISTORY
    return [HISTORY[0] | {"startTime": f"2026-11-30T13:{int(number[1]) % 60:02d}:00.000Z"}]


class Engine:
    """An engine whose stacks are those of `states`; an update records the stack's file."""

    def __init__(self, stacks: Path, states: dict[str, list[dict[str, Any]]], updates: list[str], stack: str) -> None:
        self.instance = stack
        self._stacks, self._states, self._updates = stacks, states, updates

    def stacks(self) -> list[str]:
        return [*self._states]

    def exists(self) -> bool:
        return self.instance in self._states

    def state(self) -> list[dict[str, Any]]:
        return self._states.get(self.instance, [])

    def resources(self) -> list[dict[str, Any]]:
        return self.state()

    def adopt(self, imported: dict[str, Any]) -> None:
        self._updates.append(f"imported {len(imported['resources'])} resources")

    def ensure_stack(self, **_: Any) -> None:
        self._states.setdefault(self.instance, [])

    def last_updates(self) -> dict[str, str]:
        return {stack: history_of(stack)[0]["startTime"] for stack in self._states}

    def operations(self, most: int) -> list[Operation]:
        return [operation_of(entry) for entry in history_of(self.instance)[:most]]

    def up(self, *_: Any) -> None:
        self._updates.append((self._stacks / f"Pulumi.{self.instance}.yaml").read_text())

    def destroy(self, *_: Any) -> None:
        del self._states[self.instance]


class Pods(EmptyCluster):
    """A cluster with StatefulSets; `ready` pods of each tenant's programs are ready."""

    def __init__(self) -> None:
        self.ready: dict[str, int] = {}

    def read(self, path: str) -> dict[str, Any]:
        if path == "/api/v1/namespaces":
            names = [f"{tenant}-tenant" for tenant in self.ready] + ["kube-system"]
            return {"items": [{"metadata": {"name": name, "creationTimestamp": CREATED}} for name in names]}
        assert path == "/apis/apps/v1/statefulsets"
        return {"items": [self._one(name, tenant) for tenant in self.ready for name in ("cortex", "loki")]}

    def _one(self, name: str, tenant: str) -> dict[str, Any]:
        return {
            "metadata": {"namespace": f"{tenant}-tenant", "name": name, "uid": name},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}},
            "status": {"readyReplicas": self.ready[tenant]},
        }

    def get(self, version: str, kind: str, name: str, namespace: str | None = None) -> Any:
        tenant = (namespace or name).removesuffix("-tenant")
        if kind == "Namespace":
            return {"metadata": {"creationTimestamp": CREATED}}
        return self._one(name, tenant) if tenant in self.ready else None

    def ask(self, *_: Any) -> Any:
        """Do not answer."""
        return None


class Site:
    """A page with its parts, and browsers that look at it."""

    def __init__(self, stack: Path, folder: Path, aws: Any = None, **options: Any) -> None:
        self.stack = stack
        self.states: dict[str, list[dict[str, Any]]] = {"showdown": []}
        self.updates: list[str] = []
        self.cluster = Pods()
        self.context = FakeContext(stack.parent, self.engine, aws=aws, cluster=self.cluster)
        self.page = Page(self.context, "local", "showdown", folder, **options)
        self.sessions = Sessions()
        self.begun = 0
        self.app = application(self.page, self.sessions, PORT, self._begin)

    def engine(self, stack: str) -> Engine:
        return Engine(self.stack.parent, self.states, self.updates, stack)

    def _begin(self) -> None:
        self.begun += 1

    def read(self) -> None:
        """Let the page read the states that are due, and look at the pods."""
        self.page.tenants.states.read()
        self.page.tenants.read()

    def stranger(self) -> "TestClient":
        """Return a browser without a session."""
        from starlette.testclient import TestClient  # noqa: PLC0415 served pages do not need it, and their start is measured

        return TestClient(self.app, base_url=URL, follow_redirects=False)

    def browser(self) -> "Browser":
        """Return a browser with a session."""
        client = self.stranger()
        assert client.get("/login", params={"token": self.sessions.token}).status_code == 200
        session = self.sessions.of(next(iter(client.cookies.values())))
        assert session
        return Browser(client, self.page, session.csrf)


class Browser:
    """A browser with a session, which sends forms as a browser does."""

    def __init__(self, client: "TestClient", page: Page, csrf: str) -> None:
        self.client, self._page, self.csrf = client, page, csrf

    def get(self, path: str, status: int = 200) -> str:
        """Return a page."""
        answer = self.client.get(path)
        assert answer.status_code == status, answer.text
        return answer.text

    def post(self, path: str, status: int = 303, **fields: str) -> str:
        """Send a form; return where the answer leads, or its text."""
        answer = self.client.post(path, data={"csrf": self.csrf, **fields}, headers=ORIGIN)
        assert answer.status_code == status, answer.text
        return answer.headers.get("location", answer.text)

    def submit(self, path: str, status: int = 303, *, on: str | None = None, **fields: str) -> str:
        """Send a form with its hidden fields, which stands on the page `on`, or at its own path; return what `post` does."""
        (form,) = re.findall(rf'<form method="post" action="{path}">(.*?)</form>', self.get(on or path), re.DOTALL)
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form))
        return self.post(path, status, **hidden | fields)

    def answer(self, change: Change, text: str) -> str:
        """Answer the question of a change that its page shows; return what `post` does."""
        (question,) = re.findall('name="question" value="(.*?)"', self.get(f"/changes/{change.id}/progress"))
        return self.post(f"/changes/{change.id}/answer", question=question, answer=text)

    def change(self, location: str) -> Change:
        """Return the change to which an answer leads."""
        match = re.fullmatch(r"/changes/([0-9a-f]+)", location)
        assert match, location
        change = self._page.changes.find(match[1])
        assert change
        return change


def asks(change: Change) -> str:
    """Return the question of a change, once it asks."""
    eventually(lambda: change.is_waiting or not change.is_active, 30)
    assert change.conversation.question, change.error
    return change.conversation.question.text


def deployed(stack: str, tenant: str, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the component of a tenant in the state of a stack, with its buckets, as `make_store` names them."""
    component = tenant_name(tenant)
    urn = build_urn(stack, TENANT_TYPE, component)
    buckets = [
        {
            "urn": build_urn(stack, BUCKET_TYPE, bucket_name(component, kind)),
            "type": BUCKET_TYPE,
            "parent": urn,
            "id": bucket_prefix("showdown", tenant, kind, ID_LENGTH) + ID,
        }
        for kind in BUCKET_KINDS
    ]
    return [{"urn": urn, "type": TENANT_TYPE, "outputs": {"settings": settings}}, *buckets]


def applied(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the states of stacks whose files were applied."""
    file = StackFile("showdown", folder)
    shared = settings_in_instance(file.config())
    of_shared = (deployed("showdown", name, exported(settings)) for name, settings in shared.items())
    states = {"showdown": [entry for entries in of_shared for entry in entries]}
    own = {f"showdown.{tenant}": tenant for tenant in own_stack_tenants(folder, "showdown")}
    return states | {stack: deployed(stack, tenant, {}) for stack, tenant in own.items()}


class SlowlyChecked(FakeContext):
    """A context whose checks say that they begin, and take until a file exists."""

    def preflight(self, *arguments: Any, **options: Any) -> list[Finding]:
        self.terminal.note(CHECKS_BEGIN)
        eventually((self.stacks / CHECKED).exists, 60)
        return super().preflight(*arguments, **options)


def main() -> None:
    """Serve the page about the stack files in a folder, as `./opstrace ui` does: `python -m tests.support.page FOLDER`.

    With `--applied` after it, the files were applied, and the pods of all tenants but `ops` are ready. With `--account`,
    the account is that of the environment, at the endpoints of the stack file. With `--checks`, the provider is `aws`, and
    checks take until the folder has the file `checked`. With `--read-only`, the page changes nothing.
    """
    disable_garbage_collector()
    folder, is_applied, has_checks = Path(sys.argv[1]), "--applied" in sys.argv[2:], "--checks" in sys.argv[2:]
    aws = Clients(os.environ, StackFile("showdown", folder).config()) if "--account" in sys.argv[2:] else None
    cluster = Pods()

    @cache  # the list asks for it, after the page has started
    def states() -> dict[str, list[dict[str, Any]]]:
        found = applied(folder) if is_applied else {"showdown": []}
        entries = [entry for resources in found.values() for entry in resources if entry["type"] == TENANT_TYPE]
        tenants = [entry["urn"].rpartition("tenant-")[2] for entry in entries]
        cluster.ready.update({tenant: int(tenant != "ops") for tenant in tenants})
        return found

    kind = SlowlyChecked if has_checks else FakeContext
    context = kind(folder, lambda stack: Engine(folder, states(), [], stack), aws=aws, cluster=cluster)
    serve(
        context,
        "aws" if has_checks else "local",
        "showdown",
        Options(open_browser=False, read_only="--read-only" in sys.argv[2:]),
    )
    leave()


if __name__ == "__main__":
    main()
