"""`integrations write` through bad luck: a full disk, a kill in the middle, two commands at once."""

import errno
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from components.core.errors import UserError
from localcloud.files import write_beside
from scripts.cli.integrations.write import write
from scripts.integrations import files
from scripts.integrations.catalog import FORMATS
from scripts.integrations.formats.text import id_in
from scripts.integrations.request import Request
from scripts.integrations.write import Written, write_integration
from scripts.tokens.issued import entries
from scripts.tokens.parse import token_in
from tests.support.contexts import FakeContext, invoke
from tests.support.polling import eventually

TOKEN = "payments.prometheus.jwt"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "conf"


@pytest.fixture
def call(context: FakeContext, out: Path, key_pair: Path) -> Callable[..., Any]:
    """Returns a function that writes the format `prometheus` with a new token."""

    def run(*options: object) -> Any:
        fixed = ("aws", "showdown", "payments", "prometheus", "--output", out, "--create-token", key_pair)
        return invoke(context, write, *fixed, *options)

    return run


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def full(name: str) -> Callable[..., Path]:
    """Return what writes files while the disk has no room for one of them."""
    real = write_beside

    def written(path: Path, *arguments: Any) -> Path:
        if path.name == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, *arguments)

    return written


@pytest.mark.parametrize("name", ["prometheus.yml", TOKEN])
def test_a_full_disk_changes_no_file(
    call: Callable[..., Any], out: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    first = call()
    assert first.exit_code == 0, first.exception
    before = contents(out)
    monkeypatch.setattr(files, "write_beside", full(name))
    result = call("--id", first.stdout.strip(), "--scrape", "10.0.0.1:80")
    why = "No space left on device; free some space, then run this again"
    assert str(result.exception) == f"{out / name} cannot be written, and no file is changed: {why}"
    assert contents(out) == before
    monkeypatch.undo()
    assert call("--id", first.stdout.strip(), "--scrape", "10.0.0.1:80").exit_code == 0
    assert b"10.0.0.1:80" in contents(out)["prometheus.yml"] and contents(out)[TOKEN] != before[TOKEN]


class KilledError(BaseException):
    """Stands for a kill: no code runs after it."""


@pytest.mark.parametrize("moved", [0, 1])
def test_a_command_that_was_killed_leaves_whole_files_and_the_same_command_goes_on(
    call: Callable[..., Any], out: Path, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    first = call().stdout.strip()
    before = contents(out)
    with monkeypatch.context() as patch:
        patch.setattr(files.Staging, "__exit__", lambda *_: None)  # a kill leaves what was written beside
        left = iter([True] * moved)
        real = Path.replace

        def replace(path: Path, target: Path) -> Path:
            if not next(left, False):
                raise KilledError
            return real(path, target)

        patch.setattr(Path, "replace", replace)
        with pytest.raises(KilledError):
            call("--id", first, "--scrape", "10.0.0.1:80")
    after = contents(out)
    hidden = [name for name in after if name.startswith(".")]
    assert len(hidden) == 2 - moved
    assert {stat.S_IMODE((out / name).stat().st_mode) for name in hidden if TOKEN in name} <= {0o600}
    assert after["prometheus.yml"] == before["prometheus.yml"]
    assert (after[TOKEN] == before[TOKEN]) == (moved == 0)  # the token first: the configuration names it
    done = call("--id", first, "--scrape", "10.0.0.1:80")
    assert done.exit_code == 0, done.exception
    assert {*contents(out)} == {"prometheus.yml", TOKEN}
    assert token_in(str(out / TOKEN)).claims["jti"] in {entry["id"] for entry in entries()[0]}


def test_a_file_that_cannot_be_replaced_is_named_with_those_that_were_changed_before(
    call: Callable[..., Any], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a file is a mount point of a container, or another user's in a folder with the sticky bit."""
    first = call().stdout.strip()
    real, refused = Path.replace, out / "prometheus.yml"

    def replace(path: Path, target: Path) -> Path:
        if target == refused:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        return real(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    result = call("--id", first, "--scrape", "10.0.0.1:80")
    said = f"{out / TOKEN} is changed already: Device or resource busy"
    assert str(result.exception) == f"{refused} cannot be replaced, and {said}"
    assert {*contents(out)} == {"prometheus.yml", TOKEN}
    refused = out / TOKEN
    result = call("--id", first, "--scrape", "10.0.0.1:80")
    assert str(result.exception) == f"{refused} cannot be replaced, and no file is changed: Device or resource busy"


def test_what_a_killed_command_left_and_this_user_may_not_remove_is_told(call: Callable[..., Any], out: Path) -> None:
    out.mkdir()
    (out / ".prometheus.yml-12345678").mkdir()  # a folder stands for it, because the user root may remove any file
    result = call()
    assert str(result.exception).startswith(f"{out / 'prometheus.yml'} cannot be written, and no file is changed: ")
    assert entries() == ([], 0)


@pytest.fixture
def busy(out: Path) -> Iterator[threading.Event]:
    """Holds the folder as another command does, until the event is set."""
    out.mkdir()
    code = "import sys; from pathlib import Path; from scripts.integrations.files import alone_in\n"
    code += "with alone_in(Path(sys.argv[1])):\n    print('held', flush=True); sys.stdin.read()"
    held = subprocess.Popen(
        [sys.executable, "-P", "-c", code, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert held.stdout and held.stdin and held.stdout.readline() == "held\n"
    done = threading.Event()

    def end() -> None:
        done.wait(30)
        held.communicate("")

    thread = threading.Thread(target=end)
    thread.start()
    yield done
    done.set()
    thread.join()


@pytest.fixture
def at_once(context: FakeContext, out: Path, key_pair: Path) -> Callable[[], Future[Written]]:
    """Returns a function that begins to write the format `prometheus` in another thread."""
    asked = Request(
        provider="aws",
        instance="showdown",
        tenant="payments",
        format=FORMATS["prometheus"],
        output=out,
        create_token=key_pair,
        seconds=3600,
    )
    pool = ThreadPoolExecutor(2)
    return lambda: pool.submit(write_integration, context, asked)


def test_a_second_command_waits_for_the_first_and_then_finds_its_files(
    at_once: Callable[[], Future[Written]], out: Path, busy: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(files, "note", said.append)
    second = at_once()
    eventually(lambda: said == [f"Waiting for another command that writes into {out}."], 30, 0.05)
    (out / "prometheus.yml").write_text("of the first\n")
    busy.set()
    with pytest.raises(UserError, match=r"prometheus\.yml exists already"):
        second.result(30)
    assert contents(out) == {"prometheus.yml": b"of the first\n"}


def test_two_commands_at_once_leave_the_files_of_one(at_once: Callable[[], Future[Written]], out: Path) -> None:
    both = [at_once() for _ in range(2)]
    (lost,) = [error for one in both if (error := one.exception(60))]
    (won,) = [one.result() for one in both if not one.exception()]
    assert "exists already" in str(lost)
    assert {*contents(out)} == {"prometheus.yml", TOKEN}
    assert id_in((out / "prometheus.yml").read_text()) == won.id
    (entry,) = entries()[0]
    assert (entry["id"], entry["name"]) == (
        token_in(str(out / TOKEN)).claims["jti"],
        f"prometheus integration {won.id}",
    )
