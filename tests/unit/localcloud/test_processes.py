"""The end of a cloud's processes, also of slow ones: nothing is removed while one of them still runs."""

import contextlib
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from localcloud import lifecycle, processes
from localcloud.errors import LocalCloudError
from localcloud.node import namespaces
from localcloud.processes import Holder
from localcloud.settings import Settings
from tests.support.polling import eventually

SLOW_SECONDS = 1.0
NAMESPACES = ["unshare", *(() if os.geteuid() == 0 else ("--user", "--map-root-user")), "--mount", "--pid", "--fork"]
# In a node one process has its own session, like containerd's shims.
SERVICES = ["sh", "-c", "setsid sleep 1000 & sleep 1000 & wait"]


@pytest.fixture
def started() -> Iterator[Callable[..., psutil.Process]]:
    """Starts a process with its own session; returns the process once it has this number of descendants."""
    holders = []

    def start(*command: str, below: int) -> psutil.Process:
        popen = subprocess.Popen(command, start_new_session=True)
        holder = psutil.Process(popen.pid)
        holders.append((popen, holder))
        eventually(lambda: len(holder.children(recursive=True)) == below, 30, 0.02)
        return holder

    yield start
    for popen, holder in holders:
        if popen.poll() is None:
            for process in [*holder.children(recursive=True), holder]:
                with contextlib.suppress(psutil.NoSuchProcess):  # the end of a PID namespace ends its processes
                    process.kill()
        popen.wait()


@pytest.fixture
def slow_death(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every killed process lives on for a second, as if the kernel were busy with it. Returns the killed processes."""
    killed: list[int] = []
    kill = processes._kill

    def kill_later(pid: int) -> None:
        if pid not in killed:
            killed.append(pid)
            threading.Timer(SLOW_SECONDS, kill, [pid]).start()

    monkeypatch.setattr(processes, "_kill", kill_later)
    return killed


def are_alive(members: list[psutil.Process]) -> list[bool]:
    return [member.is_running() and member.status() != psutil.STATUS_ZOMBIE for member in members]


def test_the_end_of_a_cloud_waits_for_processes_that_take_long_to_die(
    started: Callable[..., psutil.Process], slow_death: list[int]
) -> None:
    holder = started("sh", "-c", "sleep 1000 & sleep 1000 & wait", below=2)
    members = [holder, *holder.children()]
    processes.end(holder)
    assert are_alive(members) == [False] * 3
    assert {member.pid for member in members} == {*slow_death}


def test_the_end_of_a_node_waits_for_its_mount_namespace_too(
    started: Callable[..., psutil.Process], slow_death: list[int]
) -> None:
    holder = started(*NAMESPACES, *SERVICES, below=3)
    members = [holder, *holder.children(recursive=True)]
    eventually(lambda: len({os.getsid(member.pid) for member in members}) == 2)  # one has just been started
    processes.end(holder)
    assert are_alive(members) == [False] * 4
    assert {member.pid for member in members} == {*slow_death}


def test_processes_that_do_not_die_are_named(
    started: Callable[..., psutil.Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = started("sleep", "1000", below=0)
    monkeypatch.setattr(processes, "_kill", lambda _: None)
    monkeypatch.setattr(processes, "END_SECONDS", 0.2)
    with pytest.raises(LocalCloudError, match=rf"sleep \(process {holder.pid}\); end them"):
        processes.end(holder)


def test_traces_are_removed_only_when_the_processes_of_a_dead_holder_are_gone(
    started: Callable[..., psutil.Process], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(3, tmp_path / "home")
    settings.node.mkdir(parents=True)
    holder = started(*NAMESPACES, *SERVICES, below=3)
    members = holder.children(recursive=True)
    lifecycle.record(settings, Holder.of(holder.pid))
    holder.kill()  # without --kill-child: its namespaces live on
    holder.wait()
    alive_at_removal: list[bool] = []
    monkeypatch.setattr(namespaces, "require_own", lambda _: None)
    monkeypatch.setattr(namespaces, "remove_traces", lambda _: alive_at_removal.extend(are_alive(members)))
    dying = threading.Timer(SLOW_SECONDS, members[0].kill)
    dying.start()
    lifecycle.stop(settings)
    assert alive_at_removal == [False] * 3
    assert not settings.node.exists()


def test_a_later_process_with_the_same_id_is_left_alone(started: Callable[..., psutil.Process]) -> None:
    other = started(*NAMESPACES, *SERVICES, below=3)
    former = Holder(other.pid, Holder.of(other.pid).started + "0")
    assert former.process() is None
    processes.await_end(former)  # returns at once
    processes.await_end(Holder(2**22 + 1, "another boot 1"))
    assert are_alive([other]) == [True]
