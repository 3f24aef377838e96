"""The pages of docs/ that are generated, and the functions that return their text."""

from collections.abc import Callable
from functools import partial

from components.config.schema import json_schema
from reference.commands import commands_page
from reference.deployer_policy import deployer_policy_page, template
from reference.stack_file import stack_file_page
from scripts.cli.main import opstrace
from scripts.instances.deployer.policy import PARTS

GENERATED: dict[str, Callable[[], str]] = {
    "reference/cli.md": lambda: commands_page(opstrace),
    "reference/stack-file.md": lambda: stack_file_page(json_schema()),
    "reference/deployer-policy.md": deployer_policy_page,
    **{f"reference/deployer-policy-{part}.json": partial(template, part) for part in PARTS},
}
"""Path below docs/ to the function that returns the page."""
