"""The progress that the embedded cloud reports to the reporter that its caller passes in."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from localcloud.progress import Outcome
from localcloud.toolchain.sources import UnavailableError
from localcloud.toolchain.store import Tool, ensure
from scripts.cli.local import env
from tests.support.contexts import FakeContext, invoke


class Recorded:
    """Records the shown lines and steps."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)

    @contextmanager
    def step(self, what: str, estimate: float | None = None) -> Iterator[Outcome]:
        outcome = SimpleNamespace(text="failed")
        try:
            yield outcome
            outcome.text = "done"
        finally:
            self.lines.append(f"{what} ({estimate}): {outcome.text}")


class Source:
    """Provides a tool, or is unavailable."""

    def __init__(self, name: str, estimate: float, *, available: bool = True) -> None:
        self._name, self._available, self.estimate = name, available, estimate

    def describe(self) -> str:
        return self._name

    def fingerprint(self) -> str:
        return self._name

    def provide(self, folder: Path) -> None:
        if not self._available:
            raise UnavailableError("no network")
        program = folder / "tool"
        program.touch(0o755)


def test_each_source_that_is_tried_is_a_step_with_its_outcome(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shown = Recorded()
    tool = Tool("tool", "1", ("tool",), (Source("a download", 30.0, available=False), Source("building it", 270.0)))
    ensure(tool, shown)
    first, second = shown.lines
    assert first == "tool 1: a download (30.0): skipped: no network"
    assert second == "tool 1: building it (270.0): done"
    ensure(tool, shown)
    assert len(shown.lines) == 2  # it is cached


@pytest.mark.parametrize(("own", "exported"), [(None, "400"), ("100", "100")])
def test_env_sets_the_engine_s_collector_unless_you_did(
    monkeypatch: pytest.MonkeyPatch, own: str | None, exported: str
) -> None:
    monkeypatch.delenv("GOGC", raising=False)
    if own:
        monkeypatch.setenv("GOGC", own)
    cloud = SimpleNamespace(
        require_running=lambda: None, environment=lambda settings, progress: {"AWS_REGION": "us-west-2"}
    )
    printed = invoke(FakeContext(Path("nowhere"), cloud=cloud), env, "local").stdout.splitlines()
    assert printed == [f"export GOGC={exported}", "export AWS_REGION=us-west-2"]
