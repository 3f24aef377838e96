"""Where the output of a stack's engine goes, with what the command says about that stack."""

import sys
from pathlib import Path
from typing import Protocol

import click

from scripts.ui.terminal import note

PROGRAM = "opstrace"


class Output(Protocol):
    """Takes the lines of an engine, and notes of the command about its stack."""

    @property
    def place(self) -> str:
        """Where a reader finds the lines, as part of a sentence."""

    @property
    def purpose(self) -> str:
        """What the engine is run for, in words for its history."""

    @property
    def has_colors(self) -> bool:
        """Whether the lines may have escape sequences for colors."""

    def note(self, text: str) -> None:
        """Take a note, without the end of the line."""

    def line(self, line: str) -> None:
        """Take a line of the engine, with its end."""

    def event_log(self) -> Path | None:
        """Return the file for the engine's events of the next operation, which the engine empties; None for none."""


class Stderr:
    """Passes everything on to stderr."""

    place = "its output above"

    @property
    def purpose(self) -> str:
        """The command that runs, without its arguments."""
        command = click.get_current_context(silent=True)
        return command.command_path if command else PROGRAM

    @property
    def has_colors(self) -> bool:
        """Whether stderr is a terminal."""
        return sys.stderr.isatty()

    def note(self, text: str) -> None:
        """Print a note."""
        note(text)

    def line(self, line: str) -> None:
        """Print a line at once."""
        sys.stderr.write(line)
        sys.stderr.flush()

    def event_log(self) -> Path | None:
        """Want no events: the lines are enough for a reader."""
        return None


STDERR = Stderr()
