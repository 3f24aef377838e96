"""AWS and the API server fail: short faults are retried, long ones are reported, and the next run converges.

The tests run in order through the life of one instance, with another fault in each phase. Long tests have lives of
their own.
"""

import json
import time
from collections.abc import Callable, Iterator

import pytest

from localcloud.plugins.provider import ANSWER_SECONDS
from tests.support.census import portrait
from tests.support.faults import Fault, Faults, Server, at_numbers, at_random
from tests.support.stack import (
    INSTANCE,
    TEMPORARY,
    Stack,
    Uninterrupted,
    assert_nothing_orphaned_or_lost,
    differences,
)

REPORTS: dict[Server, str] = {"AWS": "reached max retries", "API server": "does not answer"}
RUNS = 8  # so many that at least one fault loses no answer to a create or a deletion


@pytest.fixture
def shaky(bare_stack: Stack, faults: Faults) -> Iterator[Stack]:
    """The stack behind proxies that follow `faults.policy`."""
    faults.count = 0
    yield bare_stack.with_addresses(faults.replaced)
    faults.policy = lambda: None


def assert_as_uninterrupted(stack: Stack, uninterrupted: Uninterrupted, phase: str) -> None:
    resources = stack.resources()
    assert_nothing_orphaned_or_lost(stack, phase, resources)
    assert differences(portrait(resources), uninterrupted[phase][1]) == {}


def run_until_it_passes(stack: Stack, phase: str) -> None:
    """Run a prepared phase until it succeeds, with `recover` after each failure."""
    for _ in range(RUNS):
        done = stack.attempt(phase)
        if done.returncode == 0:
            return
        stack.recover()
    raise AssertionError(done.stdout + done.stderr)


def meet_outage(kind: Fault, phase: str, stack: Stack, faults: Faults, uninterrupted: Uninterrupted) -> None:
    """Run a phase in which all requests, or those to `faults.only`, fail after a while; then run it again without faults."""
    only = faults.only
    faults.policy = at_numbers(range(4 if only else 20, 10**9), kind)  # the numbers count only those requests
    stack.prepare(phase)
    done = stack.attempt(phase)
    assert done.returncode != 0
    output = done.stdout + done.stderr
    reported = [server for server, text in REPORTS.items() if text in output]
    assert reported == [only] if only else reported, output
    assert "fault of the stand-in" not in output and "Traceback" not in output
    faults.policy, faults.only = lambda: None, None
    stack.next_run(phase)
    assert_as_uninterrupted(stack, uninterrupted, phase)


def test_answers_that_are_lost_orphan_nothing(shaky: Stack, faults: Faults, uninterrupted: Uninterrupted) -> None:
    faults.policy = at_random(2, 0.03, "answer lost")
    shaky.prepare("create")
    run_until_it_passes(shaky, "create")
    assert faults.count > 5
    assert_as_uninterrupted(shaky, uninterrupted, "create")
    faults.policy = lambda: None
    assert shaky.is_as_declared()


def test_errors_and_throttling_that_pass_are_waited_for(
    shaky: Stack, faults: Faults, uninterrupted: Uninterrupted
) -> None:
    faults.policy = at_random(1, 0.15, "throttled", "error", "cut off")
    shaky.prepare("add")
    done = shaky.attempt("add")
    assert done.returncode == 0, done.stderr + done.stdout
    assert faults.count > 6
    assert_as_uninterrupted(shaky, uninterrupted, "add")


def test_an_outage_is_reported_and_the_next_run_converges(
    shaky: Stack, faults: Faults, uninterrupted: Uninterrupted
) -> None:
    meet_outage("error", "change", shaky, faults, uninterrupted)


def test_a_verb_reports_an_outage_and_succeeds_when_it_is_repeated(shaky: Stack, faults: Faults) -> None:
    limit = "limits.logs.max_line_size=1KB"
    verb = ["tenants", "set", "aws", INSTANCE, TEMPORARY, limit, "--json"]
    before = shaky.file.read_text()

    def once_it_is_written() -> Fault | None:
        return None if shaky.file.read_text() == before else "error"

    policies: dict[str, Callable[[], Fault | None]] = {
        "AWS refuses access": lambda: "error",
        "`pulumi up` failed": once_it_is_written,
    }
    for reason, policy in policies.items():
        faults.policy = policy
        assert shaky.file.read_text() == before
        done = shaky.opstrace(*verb, check=False)
        assert done.returncode == 1 and done.stdout == "" and "Traceback" not in done.stderr
        last = done.stderr.splitlines()[-1]
        assert last.startswith("error: ") and reason in last, done.stderr
    faults.policy = lambda: None
    # The change of the failed update is still missing.
    assert json.loads(shaky.opstrace(*verb).stdout)["change"] == [TEMPORARY]
    assert shaky.is_as_declared()


def test_requests_without_an_answer_are_retried(shaky: Stack, faults: Faults, uninterrupted: Uninterrupted) -> None:
    faults.policy = at_numbers(range(20, 24), "silence")
    shaky.prepare("delete")
    started = time.monotonic()
    done = shaky.attempt("delete")
    assert done.returncode == 0, done.stderr + done.stdout
    assert faults.count == 4 and time.monotonic() - started > ANSWER_SECONDS
    assert_as_uninterrupted(shaky, uninterrupted, "delete")


def test_answers_to_deletions_that_are_lost_leave_nothing(shaky: Stack, faults: Faults) -> None:
    faults.policy = at_random(3, 0.03, "answer lost")
    run_until_it_passes(shaky, "destroy")
    assert faults.count > 3
    faults.policy = lambda: None
    shaky.next_run("destroy")  # retained data is purged with it
    assert_nothing_orphaned_or_lost(shaky, "destroy", [])


@pytest.mark.nightly
def test_an_outage_of_another_kind_is_reported_and_the_next_run_converges(
    shaky: Stack, faults: Faults, uninterrupted: Uninterrupted
) -> None:
    shaky.uninterrupted("create")
    faults.only = "AWS"
    meet_outage("throttled", "add", shaky, faults, uninterrupted)
    faults.only = "API server"
    meet_outage("cut off", "change", shaky, faults, uninterrupted)
    meet_outage("silence", "delete", shaky, faults, uninterrupted)
