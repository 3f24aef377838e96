"""An edit of the stack's file and what follows it: checked, written, applied."""

import click

from scripts.engine import Engine
from scripts.preflight import reached, require_cluster
from scripts.providers import provider
from scripts.stackfile import StackFile

NO_APPLY = click.option("--no-apply", is_flag=True, help="Only edit the stack's file.")


def finish(file: StackFile, provider_name: str, *, no_apply: bool) -> None:
    """Write the file and apply it; nothing is written where it is not valid or cannot be applied.

    Raises `ConfigError` with every problem of the edited file.
    """
    config = file.config()
    if no_apply:
        file.write()
        return
    where = provider(provider_name)
    engine = Engine(where.environment, file.instance)
    aws, cluster = reached(where.environment, config)
    require_cluster(cluster, file.instance)
    file.write()
    engine.up(aws, cluster)
