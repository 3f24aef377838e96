"""`ta-tokens-list`: the tokens that were issued by this user on this machine."""

import time
from collections.abc import Mapping
from typing import Any

import click

from components.instants import written
from scripts.ledger import chosen, entries, path
from scripts.terminal import JSON_ARRAY, note, stdout_json

COLUMNS = ("id", "tenant", "instance", "scope", "expires", "key", "name")


@click.command(short_help="Print the tokens that were issued here.")
@click.option("--instance", help="Only those of this instance.")
@click.option("--tenant", help="Only those of this tenant.")
@JSON_ARRAY
def ta_tokens_list(instance: str | None, tenant: str | None, as_json: bool) -> None:
    """Print what you issued on this machine, oldest first: ids and what they are for, never a token."""
    found, broken = entries()
    if broken:
        note(f"lines of {path()} that are no entries, perhaps of a command that was killed, and are left out: {broken}")
    shown = chosen(found, instance, tenant)
    if as_json:
        stdout_json(shown)
        return
    rows = [[column.upper() for column in COLUMNS], *(_row(entry) for entry in shown)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(entry: Mapping[str, Any]) -> list[str]:
    """Return the cells of an entry; what is not set reads as what that means."""
    expires = entry["expires"] + (" (past)" if entry["expires"] < written(time.time()) else "")
    scope = "all" if entry.get("scope") is None else str(entry["scope"])
    return [entry["id"], entry["tenant"], entry["instance"], scope, expires, entry["key"], entry.get("name") or ""]
