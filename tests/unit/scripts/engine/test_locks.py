"""Locks of engines: an error if the owner is alive, cleared once if it was killed."""

import multiprocessing
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from components.core.errors import UserError
from scripts.engine.locks import Lock, clear_once, dead_locks
from tests.support.polling import eventually

# The output of pulumi 3.255.
ERRORS = """error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the lock file with `pulumi cancel`.
  file:///state/.pulumi/locks/organization/opstrace/showdown/2b1c.json: created by root@{host} (pid {pid}) at 2026-11-26T10:00:00Z
"""


def ended() -> int:
    """Return the number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_a_lock_of_a_process_that_has_ended_is_dead_and_others_are_named() -> None:
    pid = ended()
    assert dead_locks("error: something else", "showdown") == []
    (lock,) = dead_locks(ERRORS.format(host=socket.gethostname(), pid=pid), "showdown")
    assert lock == Lock("root", socket.gethostname(), pid, "2026-11-26T10:00:00Z")
    with pytest.raises(UserError, match=f"process {pid} of root on elsewhere"):
        dead_locks(ERRORS.format(host="elsewhere", pid=pid), "showdown")


def test_a_lock_whose_number_another_program_has_now_is_dead() -> None:
    assert Lock("root", socket.gethostname(), os.getpid(), "").is_dead()  # a process other than pulumi


def _clear(lock: Lock, folder: str) -> None:
    def cancel() -> None:
        time.sleep(0.2)  # long enough for the others to wait
        with (Path(folder) / "cancelled").open("a") as file:
            file.write("once\n")

    clear_once([lock], cancel)


def test_a_lock_that_could_not_be_cleared_is_tried_again() -> None:
    lock, calls = Lock("root", "here", ended(), "2026-11-26T10:00:00Z"), []

    def fail() -> None:
        calls.append("failed")
        raise UserError("access denied")

    for _ in range(2):
        with pytest.raises(UserError, match="access denied"):
            clear_once([lock], fail)
    assert calls == ["failed"] * 2


def test_of_many_commands_that_saw_a_dead_lock_one_clears_it(tmp_path: Path) -> None:
    lock = Lock("root", "here", ended(), "2026-11-26T10:00:00Z")
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=_clear, args=(lock, str(tmp_path))) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(10)
        assert process.exitcode == 0
    assert (tmp_path / "cancelled").read_text() == "once\n"
    _clear(Lock("root", "here", lock.pid, "later"), str(tmp_path))  # another lock
    assert (tmp_path / "cancelled").read_text() == "once\nonce\n"


def test_a_lock_file_that_a_killed_command_left_blocks_nobody(state: Path) -> None:
    folder = state / "opstrace"
    folder.mkdir()
    (folder / "cleared-locks.lock").write_text("4711\n")
    calls = []
    clear_once([Lock("root", "here", ended(), "2026-11-26T10:00:00Z")], lambda: calls.append("cancelled"))
    assert calls == ["cancelled"]


def test_a_lock_of_an_engine_that_nobody_has_waited_for_is_dead(tmp_path: Path) -> None:
    engine = tmp_path / "pulumi"
    shutil.copy(str(shutil.which("true")), engine)
    with subprocess.Popen([engine]) as process:
        eventually(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
        assert psutil.Process(process.pid).name() == "pulumi"
        assert Lock("root", socket.gethostname(), process.pid, "").is_dead()
