"""Fixtures of the unit tests: a state folder apart from the user's, and a stack file in its own folder."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from components.shared.recorded_outputs import recorded_outputs, recorded_resources
from scripts.stackfile.file import StackFile
from tests.support import factories
from tests.support.contexts import FakeContext

# No deadline: the time of an example depends on the machine's other work.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")


@pytest.fixture(autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder


@pytest.fixture(autouse=True)
def _next_program() -> None:
    """Let each test be a program of its own, which reads the recorded outputs once."""
    recorded_outputs.cache_clear()
    recorded_resources.cache_clear()


@pytest.fixture
def stack_settings() -> dict[str, Any]:
    """The content of the file of `stack`; a test module may replace it."""
    return factories.settings()


@pytest.fixture
def stack(tmp_path: Path, stack_settings: dict[str, Any]) -> Path:
    """The file of the stack `showdown` in its own folder."""
    file = StackFile("showdown", tmp_path)
    for name, value in stack_settings.items():
        file.set(name, value)
    file.write()
    return file.path


@pytest.fixture
def context(stack: Path) -> FakeContext:
    """The context of a command that finds `stack` in place of the user's; it has no engine."""
    return FakeContext(stack.parent)
