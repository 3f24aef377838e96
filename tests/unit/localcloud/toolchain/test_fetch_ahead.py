"""While one tool compiles, the sources of the next are fetched; a machine that downloads releases fetches no sources."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from localcloud.toolchain.sources import GoModule, UnavailableError
from localcloud.toolchain.store import Tool, ensure_all

WAIT_SECONDS = 60


@dataclass(frozen=True)
class Downloaded:
    """A source that downloads a program, or cannot."""

    is_reachable: bool
    estimate: float = 1

    def fingerprint(self) -> str:
        return ""

    def describe(self) -> str:
        return "downloading"

    def provide(self, folder: Path) -> None:
        if not self.is_reachable:
            raise UnavailableError("no network")
        (folder / "program").touch(0o755)


@dataclass(frozen=True)
class Compiled(GoModule):
    """A build that takes until `others` are fetched."""

    fetched: threading.Event = field(default_factory=threading.Event)
    others: tuple[threading.Event, ...] = ()

    def fingerprint(self) -> str:
        return self.module

    def fetch(self) -> None:
        self.fetched.set()

    def provide(self, folder: Path) -> None:
        assert all(other.wait(WAIT_SECONDS) for other in self.others)
        (folder / "program").touch(0o755)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def tools(*, is_reachable: bool) -> tuple[list[Tool], list[Compiled]]:
    last = [Compiled(name, ".", "program", 1) for name in ("second", "third")]
    sources = [Compiled("first", ".", "program", 1, others=tuple(source.fetched for source in last)), *last]
    return [Tool(source.module, "1", ("program",), (Downloaded(is_reachable), source)) for source in sources], sources


def test_a_build_goes_on_while_the_sources_of_the_next_are_fetched() -> None:
    wanted, sources = tools(is_reachable=False)
    folders = ensure_all(wanted)  # the first build waits for both
    assert all((folders[source.module] / "program").exists() for source in sources)
    assert not sources[0].fetched.is_set()  # its build fetches them


def test_nothing_is_fetched_where_releases_can_be_downloaded() -> None:
    wanted, sources = tools(is_reachable=True)
    ensure_all(wanted)
    assert not any(source.fetched.is_set() for source in sources)
