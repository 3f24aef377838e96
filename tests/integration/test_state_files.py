"""A state file that a killed engine left truncated, with the real engine: repaired unless another engine runs."""

import json
import os
import socket
from pathlib import Path

import pytest

from components.core.errors import UserError
from components.core.resource_names import PROJECT
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from scripts.engine.pulumi import Engine
from scripts.engine.state_repair import backend_url, state_file
from tests.support.project import Project
from tests.support.shell import run

STACK = "cutoff"
STACK_TYPE = "pulumi:pulumi:Stack"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return dict(os.environ) | {
        "PATH": f"{ensure(catalog.PULUMI)}:{os.environ['PATH']}",
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_BACKEND_URL": f"file://{tmp_path}",
        "PULUMI_CONFIG_PASSPHRASE": "test",
    }


@pytest.fixture
def engine(environment: dict[str, str], project: Project) -> Engine:
    engine = Engine(environment, STACK, project.folder)
    engine.ensure_stack(select=False)
    return engine


def state(folder: Path) -> Path:
    return state_file(f"file://{folder}", PROJECT, STACK)


def test_empty_files_beside_the_state_are_no_end(engine: Engine, tmp_path: Path) -> None:
    sides = [state(tmp_path).with_name(f"{STACK}.json.attrs"), tmp_path / ".pulumi" / "meta.yaml.attrs"]
    for side in sides:
        assert side.exists()
        side.write_bytes(b"")
    assert engine.stacks() == [STACK]
    assert not [side for side in sides if side.exists() and side.stat().st_size == 0]


def test_a_state_that_was_cut_off_is_the_one_before(engine: Engine, tmp_path: Path) -> None:
    whole = state(tmp_path).read_text()
    state(tmp_path).write_text(whole[: len(whole) // 2])
    assert engine.stacks() == [STACK] and engine.resources() == []


def test_the_stacks_are_listed_though_the_state_of_another_was_cut_off(
    engine: Engine, environment: dict[str, str], project: Project, tmp_path: Path
) -> None:
    other = f"{STACK}.shop"
    Engine(environment, other, project.folder).ensure_stack(select=False)
    path = state_file(f"file://{tmp_path}", PROJECT, other)
    path.write_text(path.read_text()[:40])
    assert sorted(engine.stacks()) == [STACK, other]


def test_a_backend_that_only_a_login_names_is_known(environment: dict[str, str]) -> None:
    url = environment.pop("PULUMI_BACKEND_URL")
    assert backend_url(environment) == ""
    run("pulumi", "login", url, env=environment)
    assert backend_url(environment) == url


def test_a_state_that_a_live_engine_is_writing_is_left_alone(engine: Engine, tmp_path: Path) -> None:
    locks = tmp_path / ".pulumi" / "locks" / "organization" / PROJECT / STACK
    locks.mkdir(parents=True, exist_ok=True)
    owner = {"pid": os.getpid(), "hostname": socket.gethostname(), "username": "x", "timestamp": "2026-01-01T00:00:00Z"}
    (locks / "some-lock.json").write_text(json.dumps(owner))
    state(tmp_path).write_text("{")
    with pytest.raises(UserError, match="does not answer"):
        engine.stacks()
    assert state(tmp_path).read_text() == "{"


def with_output(engine: Engine, file: Path) -> None:
    """Give the stack a state with one output."""
    urn = f"urn:pulumi:{STACK}::{PROJECT}::{STACK_TYPE}::{PROJECT}-{STACK}"
    content = json.loads(engine._pulumi.capture("stack", "export", "--stack", STACK).stdout)
    resource = {"urn": urn, "custom": False, "type": STACK_TYPE, "outputs": {"caBundle": "many lines"}}
    content["deployment"]["resources"] = [resource]
    file.write_text(json.dumps(content))
    assert engine._pulumi.capture("stack", "import", "--stack", STACK, "--file", str(file)).returncode == 0


@pytest.fixture
def without_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install no plugins, for states that need none."""
    monkeypatch.setattr("scripts.engine.operations.require_plugins", lambda *_: None)


@pytest.mark.usefixtures("without_plugins")
def test_the_command_shows_neither_outputs_nor_the_engine_s_advice_to_remove_the_stack(
    engine: Engine,
    environment: dict[str, str],
    project: Project,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with_output(engine, tmp_path / "state.json")
    plain = ("pulumi", "--non-interactive", "destroy", "--yes", "--skip-preview", "--stack", STACK)
    shown = run(*plain, cwd=project.folder, env=environment).stdout
    assert "caBundle" in shown and "pulumi stack rm" in shown and "have been deleted, but" in shown
    with_output(engine, tmp_path / "state.json")
    capfd.readouterr()
    engine.clear()
    output, errors = capfd.readouterr()
    assert output == "" and "Destroying" in errors and "Duration" in errors
    assert not [text for text in ("caBundle", "Outputs", "stack rm", "have been deleted, but") if text in errors]
    assert not engine.exists()
