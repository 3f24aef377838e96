"""`ta-tokens-list`."""

import time
from collections.abc import Mapping
from typing import Any

import click

from components.core.timestamps import format_rfc3339
from scripts.tokens.issued import chosen, entries, path
from scripts.ui.terminal import JSON_ARRAY, note, printable, stdout_json

COLUMNS = ("id", "tenant", "instance", "scope", "expires", "key", "name")


@click.command(short_help="List the tokens that were issued here.")
@click.option("--instance", help="List only tokens of this instance.")
@click.option("--tenant", help="List only tokens of this tenant.")
@JSON_ARRAY
def ta_tokens_list(instance: str | None, tenant: str | None, as_json: bool) -> None:
    """List the tokens that you issued on this machine, oldest first: their ids and purposes, never a token."""
    issued, broken = entries()
    if broken:
        note(f"skipped lines of {path()} that are no entries, perhaps because a command was killed: {broken}")
    shown = chosen(issued, instance, tenant)
    if as_json:
        stdout_json(shown)
        return
    # Padded by hand: rich would fold or cut ids where the terminal is narrow.
    rows = [[column.upper() for column in COLUMNS], *(_row(entry) for entry in shown)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(entry: Mapping[str, Any]) -> list[str]:
    """Return the cells of an entry in the order of `COLUMNS`."""
    expires = entry["expires"] + (" (past)" if entry["expires"] < format_rfc3339(time.time()) else "")
    scope = "all" if entry.get("scope") is None else str(entry["scope"])
    cells = [entry["id"], entry["tenant"], entry["instance"], scope, expires, entry["key"], entry.get("name") or ""]
    return [printable(cell) for cell in cells]
