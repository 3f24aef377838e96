"""How commands show what their checks found."""

from collections.abc import Sequence

import click

from scripts.checks.finding import Finding, Level
from scripts.ui.terminal import printable, stdout_json


def show(found: Sequence[Finding], widest: Level, *, as_json: bool) -> None:
    """Print a line for each finding, or JSON, and end the command with 1 if there is an error.

    `widest` is the longest level that the command's checks can have.
    """
    if as_json:
        stdout_json([finding.plain() for finding in found])
    else:
        for finding in found:
            click.echo(f"{finding.level:{len(widest) + 2}}{printable(finding.in_words())}")
    if any(finding.level == "error" for finding in found):
        click.get_current_context().exit(1)
