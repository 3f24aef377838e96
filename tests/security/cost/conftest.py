"""A gateway under its pod's memory limit; these tests need no embedded cloud."""

import contextlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.security.cost.cgroup import CgroupError
from tests.security.cost.figures import repeated_while_late
from tests.security.cost.pod import Pod


def _new_pod(folder: Path) -> Pod:
    try:
        return Pod(folder)
    except CgroupError as error:
        pytest.fail(str(error))


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    with contextlib.closing(_new_pod(tmp_path)) as pod:
        yield pod


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test of a pod again, with a new one, while the good client is slow and nothing else is wrong."""
    pod = pyfuncitem.funcargs.get("pod")
    if not isinstance(pod, Pod):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}

    def run(trial: int) -> None:
        if trial == 0:
            pyfuncitem.obj(**arguments)
            return
        pod.close()  # its addresses and memory are free then
        folder = pod.gateway.folder / f"trial{trial}"
        folder.mkdir()
        with contextlib.closing(_new_pod(folder)) as another:
            pyfuncitem.obj(**arguments | {"pod": another})

    repeated_while_late(run)
    return True
