"""Output on a terminal."""

import contextlib
import re

import pytest
from rich.table import Table

from scripts.ui.terminal import show_table, step


@pytest.mark.parametrize("to_stdout", [True, False])
def test_a_narrow_terminal_cuts_nothing_of_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], to_stdout: bool
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then treats it as a terminal
    monkeypatch.setenv("COLUMNS", "80")
    cells = ["a" * 30, "loki 0 of 1 ready", "30d/7d", *(f"https://{api}.{'x' * 60}:8443" for api in ("cortex", "loki"))]
    table = Table(box=None, pad_edge=False)
    for number in range(len(cells)):
        table.add_column(f"COLUMN{number}", no_wrap=True)
    table.add_row(*cells)
    show_table(table, to_stdout=to_stdout)
    printed = capsys.readouterr()
    assert re.split("  +", (printed.out if to_stdout else printed.err).splitlines()[1]) == cells


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("skipped: no pinned checksum for https://host/file", "skipped: no pinned checksum for https://host/file"),
        ("failed", r"failed in \d+\.\d s"),
    ],
)
def test_a_step_that_fails_ends_with_its_reason_or_its_duration(
    text: str, end: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with contextlib.suppress(ValueError), step("fetching the release file") as outcome:
        outcome.text = text
        raise ValueError
    shown = " ".join(capsys.readouterr().err.split())  # a long line is wrapped
    assert re.search(f"fetching the release file: {end}$", shown), shown
