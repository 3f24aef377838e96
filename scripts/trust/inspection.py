"""A token in words, and whether an instance accepts it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from components.core.errors import UserError
from scripts.stackfile.file import own_stack_tenants
from scripts.tokens.description import description
from scripts.tokens.parse import token_in
from scripts.tokens.verify import refusals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.context.context import Context
    from scripts.tokens.parse import Token

LABEL_WIDTH = 13


def inspection(context: Context, file: str, instance: str | None) -> Iterator[str]:
    """Yield the lines that describe the token in a file or in standard input (`-`), and that `instance` accepts it.

    Raises `TokenError` where there is no token. After the description, raises `UserError` where the instance refuses it.
    """
    token = token_in(file)
    for label, words in description(token, time.time()).items():
        yield f"{label + ':':<{LABEL_WIDTH}}{words}"
    if instance:
        yield _acceptance(context, token, instance)


def _acceptance(context: Context, token: Token, instance: str) -> str:
    """Return that the instance accepts the token; raises `UserError` with every reason for which it refuses the token."""
    config = context.require_file(instance).config()
    problems = refusals(token, config, instance, time.time(), own_stack_tenants(context.stacks, instance))
    if problems:
        raise UserError(f"{instance} refuses this token: {'; '.join(problems)}")
    words = "accepts it" if config.data_api.authentication else "looks at no token (authentication: false)"
    return f"{instance} {words}, as far as stacks/Pulumi.{instance}.yaml is applied"
