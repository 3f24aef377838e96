"""What unit tests share: a state folder that is not the user's, and a stack's file in a folder of its own."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from scripts import stackfile
from tests.unit import given

# How long an example takes tells of the machine's other work, and not of the code under test.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")


@pytest.fixture(autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder


@pytest.fixture
def stack_settings() -> dict[str, Any]:
    """What stands in the file of `stack`; a test module may have another."""
    return given.settings()


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack_settings: dict[str, Any]) -> Path:
    """The file of the stack `showdown`, which the command finds in place of the user's."""
    monkeypatch.setattr(stackfile.StackFile.__init__, "__defaults__", (tmp_path,))
    file = stackfile.StackFile("showdown", tmp_path)
    for name, value in stack_settings.items():
        file.set(name, value)
    file.write()
    return file.path
