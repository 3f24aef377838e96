"""AWS and the API server fail: what passes is waited for, what lasts is told, and the next run converges."""

import time
from collections.abc import Iterator

import pytest

from localcloud.plugins.provider import ANSWER_SECONDS
from tests.engine.census import portrait
from tests.engine.faults import Faults, at_numbers, at_random
from tests.engine.stack import Stack, Undisturbed, assert_nothing_orphaned_or_lost, differences

RUNS = 8  # until one passes in which no answer to a create was lost


@pytest.fixture(scope="module")
def faults(bare_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faults]:
    made = Faults(bare_stack.cloud, tmp_path_factory.mktemp("faults") / "servers")
    yield made
    made.stop()


@pytest.fixture
def shaky(bare_stack: Stack, faults: Faults) -> Iterator[Stack]:
    """The stack behind servers that fail as `faults.policy` says; afterwards nothing is left of it."""
    faults.count = 0
    yield bare_stack.through(faults.replaced)
    faults.policy = lambda: None
    bare_stack.undisturbed("destroy")


def assert_as_undisturbed(stack: Stack, undisturbed: Undisturbed, phase: str) -> None:
    resources = stack.resources()
    assert_nothing_orphaned_or_lost(stack, phase, resources)
    assert differences(portrait(resources), undisturbed[phase][1]) == {}


def test_errors_and_throttling_that_pass_are_waited_for(shaky: Stack, faults: Faults, undisturbed: Undisturbed) -> None:
    faults.policy = at_random(1, 0.1, "throttled", "error", "cut off")
    shaky.prepare("create")
    done = shaky.attempt("create")
    assert done.returncode == 0, done.stderr + done.stdout
    assert faults.count > 15
    assert_as_undisturbed(shaky, undisturbed, "create")


def test_answers_that_do_not_come_are_asked_for_again(shaky: Stack, faults: Faults, undisturbed: Undisturbed) -> None:
    faults.policy = at_numbers(range(100, 104), "silence")
    shaky.prepare("create")
    started = time.monotonic()
    done = shaky.attempt("create")
    assert done.returncode == 0, done.stderr + done.stdout
    assert faults.count == 4 and time.monotonic() - started > ANSWER_SECONDS
    assert_as_undisturbed(shaky, undisturbed, "create")


def test_an_outage_is_told_and_the_next_run_converges(shaky: Stack, faults: Faults, undisturbed: Undisturbed) -> None:
    faults.policy = at_numbers(range(151, 10**9), "error")
    shaky.prepare("create")
    done = shaky.attempt("create")
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "reached max retries" in said or "does not answer" in said
    assert "fault of the stand-in" not in said and "Traceback" not in said
    faults.policy = lambda: None
    shaky.next_run("create")
    assert_as_undisturbed(shaky, undisturbed, "create")


def test_answers_that_are_lost_orphan_nothing(shaky: Stack, faults: Faults, undisturbed: Undisturbed) -> None:
    faults.policy = at_random(2, 0.03, "answer lost")
    for phase in ("create", "add"):
        shaky.prepare(phase)
        for _ in range(RUNS):
            done = shaky.attempt(phase)
            if done.returncode == 0:
                break
            shaky.recover()
        assert done.returncode == 0, done.stdout + done.stderr
        assert_as_undisturbed(shaky, undisturbed, phase)
    assert faults.count > 8
    faults.policy = lambda: None
    assert shaky.is_as_declared()
