"""Several stacks at once: how many, what one that fails does to others, and interrupts."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.core.errors import UserError
from scripts.clients.providers import Provider
from scripts.engine.locks import LockedError
from scripts.updates.batch import Batch, Job
from tests.support.contexts import FakeContext

NAMES = [f"showdown.t{number}" for number in range(6)]


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    return Batch(FakeContext(tmp_path, lambda stack: stack), Provider({}), tmp_path, parallel=2)


def outcomes(batch: Batch, work: Callable[[str], None], names: list[str] = NAMES) -> list[str]:
    jobs: list[Any] = [Job(name, work) for name in names]  # type: ignore[arg-type]  # the test's engine is the name
    results = batch.run("testing", jobs)
    assert [result.stack for result in results] == names
    return [result.outcome for result in results]


def test_at_most_so_many_are_at_work_at_once(batch: Batch) -> None:
    at_work, most, lock = [0], [0], threading.Lock()

    def work(stack: str) -> None:
        with lock:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
        time.sleep(0.05)
        with lock:
            at_work[0] -= 1

    assert outcomes(batch, work) == ["unchanged"] * 6 and most == [2]


def test_one_that_fails_leaves_the_others_alone(batch: Batch, capsys: pytest.CaptureFixture[str]) -> None:
    def work(stack: str) -> None:
        if stack == NAMES[1]:
            raise UserError("the quota is used up")
        if stack == NAMES[2]:
            raise OSError("no space left")

    results = batch.run("testing", [Job(name, work) for name in NAMES])  # type: ignore[arg-type]  # as above
    assert [result.outcome for result in results] == ["unchanged", "failed", "failed", *["unchanged"] * 3]
    failed = results[1]
    assert failed.error == "the quota is used up" and not failed.is_complete and failed.log
    assert failed.log.read_text() == "error: the quota is used up\n" and failed.tail == ["error: the quota is used up"]
    assert f"{NAMES[1]}: failed in" in capsys.readouterr().err


def test_a_fault_of_the_command_is_raised_after_the_others(batch: Batch) -> None:
    done = []

    def work(stack: str) -> None:
        if stack == NAMES[0]:
            raise RuntimeError("a fault")
        done.append(stack)

    with pytest.raises(RuntimeError, match="a fault"):
        outcomes(batch, work)
    assert sorted(done) == NAMES[1:]


def test_a_locked_stack_is_tried_again_at_the_end(batch: Batch, capsys: pytest.CaptureFixture[str]) -> None:
    order: list[str] = []

    def work(stack: str) -> None:
        order.append(stack)
        if stack in NAMES[:2] and (order.count(stack) == 1 or stack == NAMES[1]):
            raise LockedError(f"process 4711 has locked the stack {stack}")

    assert outcomes(batch, work) == ["unchanged", "failed", *["unchanged"] * 4]
    assert sorted(order[-2:]) == NAMES[:2] and len(order) == 8
    assert f"{NAMES[0]}: locked by another process" in capsys.readouterr().err


def test_a_lone_locked_stack_says_at_once_who_has_it(batch: Batch) -> None:
    calls = []

    def work(stack: str) -> None:
        calls.append(stack)
        raise LockedError("process 4711 has locked the stack")

    assert outcomes(batch, work, NAMES[:1]) == ["failed"] and len(calls) == 1


def test_an_ignored_signal_stays_ignored(batch: Batch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert outcomes(batch, lambda _: os.kill(os.getpid(), signal.SIGHUP)) == ["unchanged"] * len(NAMES)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_ends_those_at_work_and_starts_no_other(
    batch: Batch, number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    both = threading.Barrier(2)
    before = signal.getsignal(number)

    def work(stack: str) -> None:
        if both.wait(10) == 0:
            os.kill(os.getpid(), number)
        while not batch.engines.interrupted:
            time.sleep(0.01)
        if stack == NAMES[0]:  # the other one had done all of its work
            raise UserError("`pulumi up` failed")

    assert outcomes(batch, work) == ["interrupted", "unchanged", *["not started"] * 4]
    assert "interrupted: the engines end their requests" in capsys.readouterr().err
    assert signal.getsignal(number) == before
