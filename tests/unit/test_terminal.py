"""What is printed, as a person sees it at a terminal."""

import re

import pytest
from rich.table import Table

from scripts.terminal import show_table


@pytest.mark.parametrize("to_stdout", [True, False])
def test_a_narrow_terminal_cuts_nothing_of_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], to_stdout: bool
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # for rich, then, it is a terminal
    monkeypatch.setenv("COLUMNS", "80")
    cells = ["a" * 30, "loki 0 of 1 ready", "30d/7d", *(f"https://{api}.{'x' * 60}:8443" for api in ("cortex", "loki"))]
    table = Table(box=None, pad_edge=False)
    for number in range(len(cells)):
        table.add_column(f"COLUMN{number}", no_wrap=True)
    table.add_row(*cells)
    show_table(table, to_stdout=to_stdout)
    printed = capsys.readouterr()
    assert re.split("  +", (printed.out if to_stdout else printed.err).splitlines()[1]) == cells
