"""The checks before the command starts the engine."""

from pathlib import Path

import pytest

from components.core.errors import UserError
from scripts.engine.process import Pulumi


def test_a_project_without_the_environment_of_its_program_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "pulumi"
    program.touch(mode=0o755)
    pulumi = Pulumi({"PATH": str(tmp_path)}, tmp_path)
    with pytest.raises(UserError, match=rf"runs in {tmp_path}/\.venv, which does not exist; run \./opstrace once"):
        pulumi.require_program()
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    pulumi.require_program()
