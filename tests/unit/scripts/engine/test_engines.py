"""Engines that run side by side: each gets one interrupt, and none starts afterwards."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.engine.process import Engines, InterruptedEngineError, Pulumi

# A stand-in for `pulumi`: it says what it does, ends by SIGINT with another status, and reads no terminal.
PROGRAM = f"""#!{sys.executable}
import signal, sys, time
def end(*_):
    print("cancelling", file=sys.stderr, flush=True)
    sys.exit(3)
signal.signal(signal.SIGINT, end)
print("Updating", flush=True)
sys.stdin.read()
print(*sys.argv[2:], flush=True)
time.sleep(60 if "up" in sys.argv else 0)
"""


class Kept:
    """Keeps everything."""

    place, has_colors, purpose = "the test's list", False, "opstrace up"

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)

    def line(self, line: str) -> None:
        self.lines.append(line.rstrip())
        if line.startswith("up"):
            self.engines.interrupt()

    def event_log(self) -> None:
        """Want no events."""

    engines: Engines


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def pulumi(tmp_path: Path, kept: Kept) -> Pulumi:
    program = tmp_path / "pulumi"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    kept.engines = Engines()
    return Pulumi({"PATH": str(tmp_path)}, tmp_path, kept, kept.engines)


def test_output_goes_to_its_place(pulumi: Pulumi, kept: Kept, capfd: pytest.CaptureFixture[str]) -> None:
    assert pulumi.show("preview", "--yes") is None
    assert kept.lines == ["Updating", "preview --yes"]
    assert capfd.readouterr() == ("", "")


def test_an_interrupt_reaches_an_engine_and_no_other_starts(pulumi: Pulumi, kept: Kept) -> None:
    assert pulumi.show("up") == "cancelling\n"
    assert "cancelling" in kept.lines and kept.engines.interrupted
    with pytest.raises(InterruptedEngineError):
        pulumi.show("up")


def test_the_terminal_s_ctrl_c_does_not_reach_an_engine_twice() -> None:
    engines = Engines()
    process = engines.start(["sleep", "60"], stdout=subprocess.DEVNULL, text=True)
    assert os.getpgid(process.pid) == process.pid != os.getpgid(0)
    engines.interrupt()
    assert process.wait(10) == -signal.SIGINT
