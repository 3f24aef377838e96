"""The suite detects attacks that exceed its thresholds."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from components.gateway.settings import MEMORY_MIB
from tests.security.cost.cgroup import MIB, CgroupError, PodCgroup, cpu_seconds
from tests.security.cost.figures import MOST_TRIALS, Figures, LateError, Result, repeated_while_late

LIMIT_MIB = 64
GOOD = [Result(0.0, 0.01, 200)] * 100


@pytest.fixture
def group() -> Iterator[PodCgroup]:
    group = PodCgroup("gateway-cost-figures", LIMIT_MIB * MIB)
    yield group
    group.close()


def taking(group: PodCgroup, mib: int) -> int:
    """Run a process that allocates `mib` MiB, and return its exit status."""
    program = f"import sys; taken = b'x' * ({mib} * 2**20)"
    return subprocess.run(group.command([sys.executable, "-P", "-c", program]), check=False).returncode


def test_a_process_above_the_limit_is_killed_and_counted(group: PodCgroup) -> None:
    assert taking(group, LIMIT_MIB // 2) == 0
    assert group.kills() == 0
    assert LIMIT_MIB // 2 * MIB < group.peaks()[0] < LIMIT_MIB * MIB
    assert cpu_seconds(group.cpu_file) > 0
    assert taking(group, 2 * LIMIT_MIB) == -9
    assert group.kills() == 1


def test_a_machine_without_such_a_cgroup_gets_the_reason(group: PodCgroup) -> None:
    with pytest.raises(
        CgroupError, match="File exists; these tests need a cgroup with a memory limit: run them as root"
    ):
        PodCgroup("gateway-cost-figures", LIMIT_MIB * MIB)


def measured(**changes: object) -> Figures:
    """Return figures within the thresholds, with changes."""
    figures = Figures("class", before=GOOD, during=GOOD, probed=GOOD, back_after=0.0, peak=100 * MIB)
    for name, value in changes.items():
        setattr(figures, name, value)
    return figures


def test_an_attack_within_the_thresholds_passes() -> None:
    measured().assert_held()
    slow = [Result(0.0, 0.2, 200)] * 100
    measured(before=slow, during=[Result(0.0, 0.5, 200)] * 100).assert_held()  # less than three times its baseline


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"during": [*GOOD, Result(0.0, 0.01, 503)]}, r"the good client was answered \[503\]"),
        ({"during": []}, "the good client was answered"),
        ({"during": [Result(0.0, 0.3, 200)] * 2 + GOOD[2:]}, "its p99 is not below 250 ms"),
        ({"before": [Result(0.0, 0.01, 0)]}, "its baseline has failures"),
        ({"probed": [Result(0.0, 0.5, 0)]}, "0 % of the probes had a good answer"),
        ({"peak": int(0.9 * MEMORY_MIB * MIB) + 1}, "memory is not below"),
        ({"kills": 1}, "Envoy was killed 1 times"),
        ({"has_ended": True}, "or has ended"),
        ({"back_after": 5.1}, "good answers are not back"),
    ],
)
def test_an_attack_beyond_a_threshold_fails(changes: dict[str, object], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        measured(**changes).assert_held()


SLOW = [Result(0.0, 0.5, 200)] * 100
UNANSWERED, REFUSED = [Result(0.0, 1.0, 0)], [Result(0.0, 0.01, 503)]


@pytest.mark.parametrize("late", [{"during": SLOW}, {"probed": UNANSWERED}, {"during": SLOW, "probed": UNANSWERED}])
def test_slow_answers_alone_get_further_trials(late: dict[str, object]) -> None:
    numbers: list[int] = []

    def trial(number: int) -> None:
        numbers.append(number)
        measured(**(late if number < MOST_TRIALS - 1 else {})).assert_held()

    repeated_while_late(trial)
    assert numbers == [*range(MOST_TRIALS)]


@pytest.mark.parametrize(
    ("changes", "trials"),
    [({"during": SLOW}, MOST_TRIALS), ({"during": SLOW, "kills": 1}, 1), ({"during": SLOW, "probed": REFUSED}, 1)],
)
def test_an_attack_that_slows_every_trial_or_does_more_fails(changes: dict[str, object], trials: int) -> None:
    numbers: list[int] = []

    def trial(number: int) -> None:
        numbers.append(number)
        measured(**changes).assert_held()

    with pytest.raises(AssertionError) as failed:
        repeated_while_late(trial)
    assert len(numbers) == trials
    assert isinstance(failed.value, LateError) == (trials > 1)
