"""Which process of `make test` runs which test, by real processes of pytest."""

import itertools

import pytest

from tests.support.scheduling import EMBEDDED, FIRST, SHARING
from tests.support.shell import ROOT

pytest_plugins = ["pytester"]
CONFTEST = """
import os
import pytest
from tests.support import scheduling

pytest_xdist_make_scheduler = scheduling.make_scheduler
pytest_collection_modifyitems = scheduling.begin_with_the_longest
pytest_runtest_teardown = scheduling.end_clouds

def write(event):
    with open(os.environ["PYTEST_XDIST_WORKER"], "a") as file:
        file.write(event + "\\n")

@pytest.fixture(scope="session")
def cloud():
    write("begin cloud")
    yield
    write("end cloud")

@pytest.fixture(scope="session")
def walk(cloud):
    yield
    write("end instance")

@pytest.fixture(scope="session")
def bare_stack():
    write("begin bare")
    yield
    write("end bare")

@pytest.fixture(autouse=True)
def event(request):
    write(request.node.path.stem)
"""
TEST = """
import time

def test_one({fixture}):
    time.sleep(0.1)

def test_two({fixture}):
    time.sleep(0.1)
"""
OF_INSTANCE = ("test_a", "test_b", "test_c", "test_d", "test_tenants")
OF_BARE = ("test_move", "test_up")
OTHERS = tuple(f"test_other{number}" for number in range(9))


def processes(pytester: pytest.Pytester) -> list[list[str]]:
    """Run tests like those of this project in three processes; return the events of each, without repetitions."""
    places = {"e2e": (OF_INSTANCE, "walk"), "integration": (OF_BARE, "bare_stack"), "unit": (OTHERS, "")}
    pytester.makeconftest(CONFTEST)
    for folder, (modules, fixture) in places.items():
        for module in modules:
            file = pytester.path / "tests" / folder / f"{module}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(TEST.format(fixture=fixture))
    options = ("-n3", "--dist=loadscope", "--no-loadscope-reorder", "-p", "no:cacheprovider")
    done = pytester.runpytest_subprocess(*options, "tests")
    done.assert_outcomes(passed=2 * len((*OF_INSTANCE, *OF_BARE, *OTHERS)))
    logs = [file.read_text().splitlines() for file in pytester.path.glob("gw*")]
    return [[event for event, _ in itertools.groupby(log)] for log in logs]


def test_processes_end_their_clouds_before_tests_that_need_none(pytester: pytest.Pytester) -> None:
    started = processes(pytester)
    assert len(started) == 3
    with_instance = [events for events in started if "begin cloud" in events]
    assert len(with_instance) == 2
    for events in with_instance:
        last = events.index("end instance")
        assert events[0] == "begin cloud" and {*events[1:last]} <= {*OF_INSTANCE}
        assert events[last + 1] == "end cloud" and {*events[last + 2 :]} & {*OTHERS}
    assert "test_tenants" in [events[1] for events in with_instance]

    (events,) = [events for events in started if "begin bare" in events]
    first = events.index("begin bare")
    assert sorted(events[first + 1 : first + 3]) == [*OF_BARE] and events[first + 3] == "end bare"


@pytest.mark.parametrize("beginning", [*EMBEDDED, *FIRST, *itertools.chain(*SHARING.values())])
def test_what_is_scheduled_exists(beginning: str) -> None:
    assert (ROOT / beginning).exists()
