"""How often the command asks the engine about a stack: each question starts a process that takes half a second."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.core.errors import UserError
from scripts.engine.pulumi import Engine

# Keeps its arguments without its options, and knows the stacks that have a file of their name.
PROGRAM = """#!/bin/sh
shift
case "$1 $2" in
    "stack init") name=$4; [ -e "$name" ] && { echo "stack '$name' already exists" >&2; exit 255; }; touch "$name" ;;
    "stack export") [ -e "$4" ] || { echo "error: no stack named '$4' found" >&2; exit 255; }; echo '{}' ;;
    "stack history") echo '[]' ;;
esac
echo "$1 $2" >> asked
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Engine]:
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    program = tmp_path / "pulumi"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    monkeypatch.setattr("scripts.engine.operations.require_plugins", lambda *_: None)
    return lambda: Engine({"PATH": f"{tmp_path}:{os.environ['PATH']}"}, "wombat", tmp_path)


@pytest.fixture
def asked(tmp_path: Path) -> Callable[[], list[str]]:
    def lines() -> list[str]:
        file = tmp_path / "asked"
        text = file.read_text() if file.exists() else ""
        file.unlink(missing_ok=True)
        return text.splitlines()

    return lines


ACCOUNT: Any = {}
CLUSTER: Any = None


def test_a_stack_that_the_command_creates_is_neither_looked_for_twice_nor_for_an_earlier_update(
    engine: Callable[[], Engine], asked: Callable[[], list[str]]
) -> None:
    new = engine()
    assert new.state() == []
    new.ensure_stack(select=False)
    new.up(ACCOUNT, CLUSTER)
    assert asked() == ["stack init", "up --yes"]
    new.up(ACCOUNT, CLUSTER)
    assert asked() == ["stack export", "stack history", "up --yes"]


def test_a_stack_that_exists_may_have_had_an_update_that_was_killed(
    engine: Callable[[], Engine], asked: Callable[[], list[str]]
) -> None:
    engine().create_stack()
    asked()
    later = engine()
    later.ensure_stack(select=False)
    later.up(ACCOUNT, CLUSTER)
    assert asked() == ["stack export", "stack export", "stack history", "up --yes"]


def test_a_stack_that_another_command_creates_meanwhile_is_not_taken_over(engine: Callable[[], Engine]) -> None:
    one, other = engine(), engine()
    assert one.state() == [] == other.state()
    one.ensure_stack(select=False)
    with pytest.raises(UserError, match="wombat cannot be created: stack 'wombat' already exists"):
        other.ensure_stack(select=False)


def test_a_stack_with_resources_of_another_is_looked_at(
    engine: Callable[[], Engine], asked: Callable[[], list[str]]
) -> None:
    new = engine()
    new.create_stack()
    engine().move("urn", new)
    asked()
    new.up(ACCOUNT, CLUSTER)
    assert asked() == ["stack export", "stack history", "up --yes"]
