"""What several tests of the engine share: a gateway that runs; an instance on a bare cloud."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.bare import BareCloud
from tests.engine.census import of_cloud, of_state, portrait
from tests.engine.gateway import BackEnd, Gateway
from tests.engine.stack import PHASES, STACK_FILE, Stack


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    started: list[subprocess.Popen[bytes]] = []
    back_end = BackEnd()
    yield Gateway(tmp_path, back_end, started)
    back_end.server.shutdown()
    back_end.server.server_close()
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture(scope="package")
def bare_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = BareCloud(tmp_path_factory.mktemp("bare"))
    try:
        made.start()
        yield Stack(made)
    finally:
        made.stop()
        STACK_FILE.unlink(missing_ok=True)


@pytest.fixture(scope="package")
def undisturbed(bare_stack: Stack) -> dict[str, tuple[int, dict[str, Any]]]:
    """How many lines each phase says when nobody is killed, and the portrait of what it makes."""
    found = {}
    for phase in PHASES:
        lines = bare_stack.undisturbed(phase)
        resources = bare_stack.resources()
        assert of_state(resources) == of_cloud(bare_stack.cloud)
        found[phase] = (lines, portrait(resources))
    return found
