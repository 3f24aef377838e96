"""The progress of several stacks where there is no terminal."""

from pathlib import Path

import pytest

from scripts.updates.display import Display
from scripts.updates.engine_log import EngineLog
from scripts.updates.result import StackResult


@pytest.mark.parametrize(("seconds", "beats"), [(0, 2), (3600, 0)])
def test_a_line_now_and_then_names_the_stacks_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], seconds: int, beats: int
) -> None:
    monkeypatch.setattr("scripts.updates.display.HEARTBEAT_SECONDS", seconds)
    with Display("updating 2 stacks", 2) as display:
        with display.at_work("showdown.a", EngineLog(tmp_path / "a")):
            display.tick()
        display.ended(StackResult("showdown.a", "unchanged"))
        with display.at_work("showdown.b", EngineLog(tmp_path / "b")):
            display.tick()
    shown = capsys.readouterr().err.splitlines()
    lines = [line for line in shown if "at work" in line]
    assert len(lines) == beats and [line for line in shown if line not in lines] == [
        "  updating 2 stacks",
        "  showdown.a: unchanged",
    ]
    for line, expected in zip(lines, ("0 of 2; at work: showdown.a (", "1 of 2; at work: showdown.b ("), strict=False):
        assert expected in line
