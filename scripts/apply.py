"""An edit of the stack's file and what follows it: checked, written, applied."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import click

from components.config import StackConfig
from scripts import applied
from scripts.aws import Clients
from scripts.cluster import Cluster
from scripts.engine import Engine
from scripts.guards import require_harmless
from scripts.preflight import reached, require_cluster
from scripts.providers import Provider, provider
from scripts.stackfile import StackFile, require
from scripts.terminal import note

Said = TypeVar("Said")
NO_APPLY = click.option("--no-apply", is_flag=True, help="Only edit the stack's file.")


@dataclass(frozen=True)
class Target:
    """An instance that answers: where it runs, its engine, its account and its cluster."""

    where: Provider
    engine: Engine
    aws: Clients
    cluster: Cluster


def target(instance: str, config: StackConfig, provider_name: str, stack: str | None = None) -> Target:
    """Return the parts of an instance, with the engine on its stack, or on `stack`.

    Raises `UserError` where one of them does not answer, or is another's.
    """
    where = provider(provider_name)
    engine = Engine(where.environment, stack or instance)
    aws, cluster = reached(where.environment, config)
    require_cluster(cluster, instance)
    return Target(where, engine, aws, cluster)


def show_difference(file: StackFile) -> None:
    """Say what writing the file would change in it."""
    found = file.difference()
    note(found.rstrip() if found else f"{file.path.name} stays as it is.")


def finish(
    file: StackFile, provider_name: str, *, no_apply: bool, before: Callable[[Target], Said] | None = None
) -> Said | None:
    """Write the file and apply it; nothing is written where it is not valid or cannot be applied.

    `before` is called when all answer and nothing is changed yet; it may raise. What it returns is returned. Without it,
    the update may do no harm. Raises `ConfigError` with every problem of the edited file.
    """
    file.check()
    if no_apply:
        file.write()
        return None
    config = require(file.owner).config() if file.is_tenants else file.config()
    found = target(file.owner, config, provider_name, file.instance)
    if before:
        said = before(found)
    else:
        require_harmless(file, config, applied.tenants(found.engine.state()), found.cluster)
        said = None
    file.write()
    if file.is_tenants:
        found.engine.ensure_stack(select=False)
    found.engine.up(found.aws, found.cluster)
    return said
