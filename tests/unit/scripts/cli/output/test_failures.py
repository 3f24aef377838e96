"""How the command fails: with one line for an error of the user, with a traceback for a fault of its own."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.core.errors import UserError
from scripts.cli.output import failures
from scripts.stackfile.file import STACKS
from scripts.tokens.issued import issued
from scripts.tokens.signing import Grant, Signer
from tests.support.factories import PAIR
from tests.support.shell import ROOT

RUN = """
import os, signal, sys, time, click
from rich.table import Table
from scripts.cli import main as module
from scripts.ui.terminal import show_table, stdout_json

class Other(Exception): ...

@click.command()
@click.argument("kind")
def x(kind):
    table = Table(box=None)
    table.add_column("A")
    for number in range(20_000):
        table.add_row(f"{number:010}")
    match kind:
        case "table": show_table(table, to_stdout=True)
        case "json": stdout_json([f"{number:010}" for number in range(20_000)])
        case "socket": raise ConnectionResetError(104, "Connection reset by peer")
        case "path": raise FileNotFoundError(2, "No such file or directory", "/no/such/file/of/ours")
        case "fault": raise Other("broken")
        case "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)

module.Commands.get_command = lambda self, ctx, name: x
module.main()
"""


def run(kind: str, output: int, name: str = "x") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-c", RUN, name, kind]
    return subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, timeout=60, check=False)


def system_error(number: int, path: str | None) -> OSError:
    return OSError(number, os.strerror(number), path)


@pytest.fixture
def arguments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that the command line names."""
    monkeypatch.setattr(
        sys, "argv", ["opstrace", "ta-rotate-key", f"--out-dir={tmp_path / 'new'}", str(tmp_path / "a")]
    )
    return tmp_path


@pytest.mark.parametrize(
    ("number", "path", "line"),
    [
        (errno.EACCES, "{folder}/new/x.jwt", "{folder}/new/x.jwt: Permission denied; allow it for your user, or"),
        (errno.EROFS, "{folder}/new", "{folder}/new: Read-only file system; name a path on a file system"),
        (errno.ENOENT, "{folder}/a", "{folder}/a: No such file or directory; check the path"),
        (errno.EISDIR, "tenant-api-token-default", "tenant-api-token-default: Is a directory; name a file"),
        (errno.EACCES, "{stacks}/Pulumi.x.yaml", "{stacks}/Pulumi.x.yaml: Permission denied; allow it"),
        (errno.EACCES, "{state}/opstrace/local-0", "{state}/opstrace/local-0: Permission denied; allow it"),
        (errno.ENOSPC, "/var/x", "/var/x cannot be written: No space left on device; free some space"),
        (errno.ENOSPC, None, "the output cannot be written: No space left on device; free some space"),
    ],
)
def test_an_error_of_the_user_s_files_or_disk_is_one_line(
    arguments: Path, state: Path, number: int, path: str | None, line: str
) -> None:
    places = {"folder": arguments, "stacks": STACKS, "state": state}
    shown = failures.line_of(system_error(number, path and path.format(**places)))
    assert shown and shown.startswith(line.format(**places)) and "\n" not in shown


@pytest.mark.parametrize(
    "error",
    [
        system_error(errno.ENOENT, "/usr/lib/ours"),
        system_error(errno.EACCES, "/proc/1/mem"),
        system_error(errno.ECONNREFUSED, None),
        system_error(errno.EBADF, None),
        OSError("no number"),
        ValueError("x"),
    ],
    ids=repr,
)
def test_any_other_error_is_a_fault_of_the_command(arguments: Path, error: Exception) -> None:
    assert failures.line_of(error) is None


def test_a_path_that_only_begins_like_an_argument_is_not_the_user_s(arguments: Path) -> None:
    assert failures.line_of(system_error(errno.ENOENT, f"{arguments}/another")) is None


def test_an_error_with_a_remedy_is_its_text() -> None:
    assert failures.line_of(UserError("do this")) == "do this"


@pytest.mark.parametrize(("kind", "words"), [("socket", "Connection reset"), ("path", "of/ours"), ("fault", "broken")])
def test_a_fault_shows_its_traceback_and_asks_for_a_report(kind: str, words: str) -> None:
    done = run(kind, subprocess.DEVNULL)
    assert done.returncode == 1 and "Traceback (most recent call last)" in done.stderr and words in done.stderr
    assert done.stderr.splitlines()[-1] == failures.REPORT


@pytest.mark.parametrize(
    ("command", "remedy"),
    [
        (
            "ta-pubkeys-add",
            "If an update was running, what it created stays: `./opstrace recover PROVIDER INSTANCE`, then",
        ),
        ("tenants", "Run the same command again: it resumes"),
        ("create", "Run the same command again: it resumes"),
    ],
)
def test_an_interrupt_ends_the_command_with_the_remedy(command: str, remedy: str) -> None:
    done = run("interrupt", subprocess.PIPE, command)
    assert done.returncode == 130
    assert done.stderr.startswith(f"error: interrupted. {remedy}") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("kind", ["table", "json"])
def test_a_full_disk_is_told_without_a_traceback(kind: str) -> None:
    with open("/dev/full", "w") as full:
        done = run(kind, full.fileno())
    assert done.returncode == 1
    assert (
        done.stderr
        == "error: the output cannot be written: No space left on device; free some space, then run this again\n"
    )


@pytest.mark.parametrize("kind", ["table", "json"])
def test_a_reader_that_has_gone_ends_the_command_quietly(kind: str) -> None:
    read, write = os.pipe()
    os.close(read)
    done = run(kind, write)
    os.close(write)
    assert done.stderr == "" and done.returncode == 1


def test_the_list_of_tokens_can_be_read_by_head() -> None:
    issued(Signer(PAIR), [Grant(instance="showdown", tenant="default")] * 2000)
    command = f"{ROOT}/opstrace ta-tokens-list | head -1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("ID") and done.stderr == ""
