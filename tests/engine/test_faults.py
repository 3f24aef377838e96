"""AWS and the API server fail: what passes is waited for, what lasts is told, and the next run converges.

One instance from its creation to its end, in this order, of which each phase meets another fault; what takes longer
leads a life of its own.
"""

import json
import time
from collections.abc import Callable, Iterator

import pytest

from localcloud.plugins.provider import ANSWER_SECONDS
from tests.engine.census import portrait
from tests.engine.faults import Fault, Faults, Server, at_numbers, at_random
from tests.engine.stack import (
    INSTANCE,
    PASSING,
    STACK_FILE,
    Stack,
    Undisturbed,
    assert_nothing_orphaned_or_lost,
    differences,
)
from tests.shell import ROOT, run

TOLD: dict[Server, str] = {"AWS": "reached max retries", "API server": "does not answer"}
RUNS = 8  # until one passes in which no answer to a create or a deletion was lost


@pytest.fixture
def shaky(bare_stack: Stack, faults: Faults) -> Iterator[Stack]:
    """The stack behind servers that fail as `faults.policy` says, until the test ends."""
    faults.count = 0
    yield bare_stack.through(faults.replaced)
    faults.policy = lambda: None


def assert_as_undisturbed(stack: Stack, undisturbed: Undisturbed, phase: str) -> None:
    resources = stack.resources()
    assert_nothing_orphaned_or_lost(stack, phase, resources)
    assert differences(portrait(resources), undisturbed[phase][1]) == {}


def run_until_it_passes(stack: Stack, phase: str) -> None:
    """Run a phase that is prepared until it succeeds; what each run left is settled before the next."""
    for _ in range(RUNS):
        done = stack.attempt(phase)
        if done.returncode == 0:
            return
        stack.recover()
    raise AssertionError(done.stdout + done.stderr)


def meet_outage(
    kind: Fault, phase: str, stack: Stack, faults: Faults, undisturbed: Undisturbed, only: Server | None = None
) -> None:
    """Let all, or one of both, fail in this way, from a while after the begin of a phase until the run after it."""
    faults.policy, faults.only = at_numbers(range(4 if only else 20, 10**9), kind), only  # of its own requests
    stack.prepare(phase)
    done = stack.attempt(phase)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    told = [server for server, words in TOLD.items() if words in said]
    assert told == [only] if only else told, said
    assert "fault of the stand-in" not in said and "Traceback" not in said
    faults.policy, faults.only = lambda: None, None
    stack.next_run(phase)
    assert_as_undisturbed(stack, undisturbed, phase)


def test_answers_that_are_lost_orphan_nothing(shaky: Stack, faults: Faults, undisturbed: Undisturbed) -> None:
    faults.policy = at_random(2, 0.03, "answer lost")
    shaky.prepare("create")
    run_until_it_passes(shaky, "create")
    assert faults.count > 5
    assert_as_undisturbed(shaky, undisturbed, "create")
    faults.policy = lambda: None
    assert shaky.is_as_declared()


def test_errors_and_throttling_that_pass_are_waited_for(shaky: Stack, faults: Faults, undisturbed: Undisturbed) -> None:
    faults.policy = at_random(1, 0.15, "throttled", "error", "cut off")
    shaky.prepare("add")
    done = shaky.attempt("add")
    assert done.returncode == 0, done.stderr + done.stdout
    assert faults.count > 6
    assert_as_undisturbed(shaky, undisturbed, "add")


def test_an_outage_is_told_and_the_next_run_converges(shaky: Stack, faults: Faults, undisturbed: Undisturbed) -> None:
    meet_outage("error", "change", shaky, faults, undisturbed)


def test_a_verb_that_meets_an_outage_says_so_and_is_run_again(shaky: Stack, faults: Faults) -> None:
    limit = "limits.logs.max_line_size=1KB"
    verb = [str(ROOT / "opstrace"), "tenants", "set", "aws", INSTANCE, PASSING, limit, "--json"]
    before = STACK_FILE.read_text()

    def once_it_is_written() -> Fault | None:
        return None if STACK_FILE.read_text() == before else "error"

    policies: dict[str, Callable[[], Fault | None]] = {
        "AWS does not let the caller in": lambda: "error",
        "`pulumi up` failed": once_it_is_written,
    }
    for told, policy in policies.items():
        faults.policy = policy
        assert STACK_FILE.read_text() == before
        done = run(*verb, env=shaky.environment, check=False)
        assert done.returncode == 1 and done.stdout == "" and "Traceback" not in done.stderr
        last = done.stderr.splitlines()[-1]
        assert last.startswith("error: ") and told in last, done.stderr
    faults.policy = lambda: None
    # What an update that failed wanted is still to be changed.
    assert json.loads(run(*verb, env=shaky.environment).stdout)["change"] == [PASSING]
    assert shaky.is_as_declared()


def test_answers_that_do_not_come_are_asked_for_again(shaky: Stack, faults: Faults, undisturbed: Undisturbed) -> None:
    faults.policy = at_numbers(range(20, 24), "silence")
    shaky.prepare("delete")
    started = time.monotonic()
    done = shaky.attempt("delete")
    assert done.returncode == 0, done.stderr + done.stdout
    assert faults.count == 4 and time.monotonic() - started > ANSWER_SECONDS
    assert_as_undisturbed(shaky, undisturbed, "delete")


def test_answers_to_deletions_that_are_lost_leave_nothing(shaky: Stack, faults: Faults) -> None:
    faults.policy = at_random(3, 0.03, "answer lost")
    run_until_it_passes(shaky, "destroy")
    assert faults.count > 3
    faults.policy = lambda: None
    shaky.next_run("destroy")  # what was retained goes with it
    assert_nothing_orphaned_or_lost(shaky, "destroy", [])


@pytest.mark.nightly
def test_an_outage_of_another_kind_is_told_and_the_next_run_converges(
    shaky: Stack, faults: Faults, undisturbed: Undisturbed
) -> None:
    shaky.undisturbed("create")
    meet_outage("throttled", "add", shaky, faults, undisturbed, "AWS")
    meet_outage("cut off", "change", shaky, faults, undisturbed, "API server")
    meet_outage("silence", "delete", shaky, faults, undisturbed)
