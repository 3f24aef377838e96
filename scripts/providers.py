"""The two providers of the command, and the one place that knows that they differ."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

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


def provider(name: str, *, start: bool = False) -> Provider:
    """Return the provider; the embedded cloud is started first if `start`, else it must run."""
    if name == "aws":
        return Provider(dict(os.environ))
    from localcloud import cloud  # only now: nothing else of the command needs what it loads

    here = cloud.up() if start else cloud.require_running()
    return Provider(os.environ | cloud.environment(here), cloud.stack_settings(here), cloud.ca_file(here))
