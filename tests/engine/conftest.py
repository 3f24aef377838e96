"""What tests of the gateway share: one that runs."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.gateway import BackEnd, Gateway


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
