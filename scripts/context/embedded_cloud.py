"""What a shell gets of the embedded cloud: its environment, and the logs of its programs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from scripts.engine.pulumi import COLLECTOR

if TYPE_CHECKING:
    from scripts.context.context import Context


def shell_environment(context: Context) -> dict[str, str]:
    """Return the variables with which pulumi and kubectl in a shell use the embedded cloud.

    The shell's `pulumi` gets the same garbage collector settings as the command's, unless the user has set others.
    Raises `LocalCloudError` where the cloud does not run.
    """
    cloud = context.embedded_cloud(must_run=True)
    collector = {name: os.environ.get(name, value) for name, value in COLLECTOR.items()}
    environment: dict[str, str] = cloud.environment(cloud.require_running(), context.terminal)
    return collector | environment


def log_lines(context: Context, part: str | None, count: int) -> list[str]:
    """Return the last `count` lines of the log of a part; without a part, the names of all parts.

    Raises `LocalCloudError` where the cloud does not run; an unknown part is wrong usage.
    """
    cloud = context.embedded_cloud(must_run=True)
    files = cloud.log_files(cloud.require_running())
    if part is None:
        return list(files)
    if part not in files:
        raise click.UsageError(f"no part is called {part!r}; there are {', '.join(files)}")
    lines: list[str] = files[part].read_text(errors="replace").splitlines()
    return lines[-count:]
