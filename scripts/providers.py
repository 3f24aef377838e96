"""The two providers of the command, and the one place that knows that they differ."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from components.errors import UserError

PROVIDERS = ("aws", "local")
PROVIDER = click.argument("provider_name", metavar="PROVIDER", type=click.Choice(PROVIDERS))


@dataclass(frozen=True)
class Provider:
    """Where the engine works: its environment, and what a new stack's settings start from.

    `ca_file`: what clients must trust beside the public authorities, if anything.
    """

    environment: Mapping[str, str]
    settings: Mapping[str, Any] = field(default_factory=dict)
    ca_file: Path | None = None


def provider(name: str, *, start: bool = False, context: str | None = None) -> Provider:
    """Return the provider; the embedded cloud is started first if `start`, else it must run.

    `context` names the cluster that the embedded cloud is to use. Raises `UserError` where `aws` is given one.
    """
    if name == "aws":
        if context:
            raise UserError(
                "--context goes with the provider `local`; for `aws` the stack's file has opstrace:cluster.context"
            )
        return Provider(dict(os.environ))
    from localcloud import cloud  # only now: nothing else of the command needs what it loads

    here = cloud.up(context) if start else cloud.require_running()
    return Provider(os.environ | cloud.environment(here), cloud.stack_settings(here), cloud.ca_file(here))
