"""A change of the page with the real engine and the stand-ins: its events, its lock and its interrupt."""

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.core.resource_names import PROJECT
from localcloud.plugins.install import install
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from scripts.engine.pulumi import Engine
from scripts.web.changes.change import Change, Task
from tests.support.contexts import FakeContext
from tests.support.killing import engine_of, kill
from tests.support.polling import eventually
from tests.support.shell import ROOT

STACK = "showdown"
QUICK = "import pulumi_random\nfor number in range(3):\n    pulumi_random.RandomId(f'id-{number}', byte_length=4)\n"
SLOW = f"{QUICK}import asyncio\nimport pulumi\npulumi.export('late', pulumi.Output.from_input(asyncio.sleep(600)))\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a program, which a test writes."""
    folder = tmp_path / "project"
    folder.mkdir()
    runtime = {"name": "python", "options": {"virtualenv": str(ROOT / ".venv")}}
    (folder / "Pulumi.yaml").write_text(f"name: {PROJECT}\nruntime: {runtime}\n")
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


@pytest.fixture
def update(project: Path, tmp_path: Path) -> Callable[[str], Change]:
    """Starts an update by a program as a change of the page."""
    programs = install(tmp_path / "home", ensure(catalog.PULUMI))
    environment = dict(os.environ) | {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_BACKEND_URL": f"file://{tmp_path}",
        "PULUMI_CONFIG_PASSPHRASE": "test",
    }

    def start(program: str) -> Change:
        (project / "__main__.py").write_text(program)

        def work(context: Any) -> None:
            engine = Engine(environment, STACK, project, context.output, context.engines)
            engine.ensure_stack(select=False)
            engine.apply()

        change = Change(Task(title="Update", stack=STACK, tenant="shop", work=work), tmp_path)
        change.start(FakeContext(tmp_path), lambda: None)
        return change

    return start


def test_a_change_follows_the_events_of_its_update(update: Callable[[str], Change], tmp_path: Path) -> None:
    change = update(QUICK)
    change.wait(120)
    change.follow()
    (operation,) = change.operations
    assert change.state == "done", (change.error, change.lines)
    assert operation.in_words() == "4 created" and operation.has_ended and operation.at_work() == []
    assert any("4 created" in line for line in change.lines)
    (log,) = tmp_path.glob("*.jsonl")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    again = update(QUICK)
    again.wait(120)
    again.follow()
    assert again.operations[0].in_words() == "4 without a change"


def at_work(change: Change) -> Change:
    """Wait until the engine of a change has created resources, and return the change."""

    def has_created() -> bool:
        change.follow()
        return bool(change.operations) and "3 created" in change.operations[0].in_words()

    eventually(has_created, 90, detail=lambda: change.lines)
    return change


def test_an_engine_that_is_killed_is_told_and_the_next_update_completes(update: Callable[[str], Change]) -> None:
    change = at_work(update(SLOW))
    running = engine_of(os.getpid())
    assert running and kill(running[0])
    change.wait(120)
    said = [entry.text for entry in change.conversation.entries]
    assert change.state == "failed" and "The engine was killed by SIGKILL." in said and change.can_run_again
    assert "then run this again" in str(change.error)
    completed = update(QUICK)
    completed.wait(120)
    assert completed.state == "done", (completed.error, completed.lines)
    said = [entry.text for entry in completed.conversation.entries]
    assert f"Cleared the lock of pulumi process {running[0].pid}, which was killed." in said


def test_a_change_meets_the_lock_of_another_command_and_an_interrupt_of_that_leaves_none(
    update: Callable[[str], Change], tmp_path: Path
) -> None:
    """Neither change is one of the page's `Changes`, so the engine alone holds them apart, as it does other commands."""
    change = at_work(update(SLOW))
    running = engine_of(os.getpid())
    refused = update(QUICK)
    refused.wait(120)
    assert running and refused.state == "failed" and refused.can_run_again
    told = rf"process {running[0].pid} of \S+ on \S+ has locked the stack {STACK} since \S+; wait until it ends\. "
    assert re.match(f"{told}If it does not run any more, `pulumi cancel {STACK}` removes its lock$", str(refused.error))
    assert change.is_active
    change.stop()
    change.wait(120)
    assert change.state == "interrupted" and not change.is_active
    assert [*(tmp_path / ".pulumi" / "locks").rglob("*.json")] == []
    completed = update(QUICK)
    completed.wait(120)
    assert completed.state == "done", (completed.error, completed.lines)
