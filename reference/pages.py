"""The pages of docs/ that are generated, and the functions that return their text."""

from collections.abc import Callable

from components.config.schema import json_schema
from reference.commands import commands_page
from reference.stack_file import stack_file_page
from scripts.cli.main import opstrace

GENERATED: dict[str, Callable[[], str]] = {
    "reference/cli.md": lambda: commands_page(opstrace),
    "reference/stack-file.md": lambda: stack_file_page(json_schema()),
}
"""Path below docs/ to the function that returns the page."""
