"""`integrations list`."""

import click

from scripts.integrations.catalog import FORMATS
from scripts.ui.terminal import JSON_ARRAY, show_columns, stdout_json

COLUMNS = ("FORMAT", "PROGRAM", "DATA", "FILE", "TESTED")


@click.command("list", short_help="List the formats.")
@JSON_ARRAY
def list_(as_json: bool) -> None:
    """List the formats that `write` knows. TESTED tells whether our tests run the program with the file."""
    if as_json:
        stdout_json(
            [
                {
                    "name": one.name,
                    "program": one.program,
                    "file": one.file,
                    "scopes": [*one.scopes],
                    "tested": one.tested,
                    "reload": one.reload,
                    "documentation": one.documentation,
                }
                for one in FORMATS.values()
            ]
        )
        return
    rows = [(one.name, one.program, "+".join(one.kinds), one.file, one.mark) for one in FORMATS.values()]
    show_columns(COLUMNS, rows)
