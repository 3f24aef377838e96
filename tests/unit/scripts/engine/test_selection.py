"""Which stack plain `pulumi up` applies, after the command created or removed one."""

import os
from pathlib import Path

import pytest

from components.core.errors import UserError
from scripts.engine.pulumi import Engine

# Keeps the selected stack in a file. Like the real engine, it selects none after it has removed any stack.
PROGRAM = """#!/bin/sh
shift
case "$1 $2" in
    "stack --show-name") cat selected 2>/dev/null || { echo "error: no stack selected" >&2; exit 255; } ;;
    "stack select") [ -e "refused" ] && { echo "error: no stack named '$3' found" >&2; exit 255; }; echo "$3" > selected ;;
    "stack rm") rm -f selected ;;
    "stack export") echo '{}' ;;
esac
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    program = tmp_path / "pulumi"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    monkeypatch.setattr(Engine, "run", lambda *_: None)
    return Engine({"PATH": f"{tmp_path}:{os.environ['PATH']}"}, "wombat", tmp_path)


@pytest.mark.parametrize(("before", "after"), [("showdown", "showdown"), ("wombat", ""), ("", "")])
def test_a_removed_stack_leaves_another_selected(engine: Engine, tmp_path: Path, before: str, after: str) -> None:
    selected = tmp_path / "selected"
    if before:
        selected.write_text(f"{before}\n")
    engine.clear()
    assert (selected.read_text().strip() if selected.exists() else "") == after


def test_a_stack_that_cannot_be_selected_again_is_told(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "selected").write_text("showdown\n")
    (tmp_path / "refused").touch()
    engine.clear()
    told = (
        "the stack showdown cannot be selected: error: no stack named 'showdown' found; select one: pulumi stack select"
    )
    assert told in capsys.readouterr().err


def test_a_new_stack_that_cannot_be_selected_is_an_error(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "refused").touch()
    with pytest.raises(UserError, match="the stack wombat cannot be selected"):
        engine.ensure_stack()
