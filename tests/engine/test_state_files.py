"""A state file that a killed engine left cut off, read by the real engine: mended, unless somebody is at work on it."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.errors import UserError
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from scripts.engine import PROJECT, Engine
from scripts.stackfile import STACKS
from scripts.state_files import backend_url, state_file
from tests.shell import run

STACK = "cutoff"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return dict(os.environ) | {
        "PATH": f"{ensure(catalog.PULUMI)}:{os.environ['PATH']}",
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_BACKEND_URL": f"file://{tmp_path}",
        "PULUMI_CONFIG_PASSPHRASE": "test",
    }


@pytest.fixture
def engine(environment: dict[str, str]) -> Iterator[Engine]:
    made = Engine(environment, STACK)
    made.ensure_stack(select=False)
    yield made
    (STACKS / f"Pulumi.{STACK}.yaml").unlink(missing_ok=True)


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
