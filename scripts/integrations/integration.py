"""An integration: one client that sends data to tenants of an instance, or reads it from one."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from components.core.scopes import Scope
from scripts.clients import back_ends

LABEL = "integration_id"
"""The label of every series, and the label or structured metadata of every line, that an integration sends."""

RETRIES = 1_000_000
"""The retries of clients that drop data after some retries by default. At five minutes each, these take nine years."""

ID_PATTERN = r"[a-z0-9][a-z0-9-]{6,62}[a-z0-9]"

Kind = back_ends.Kind
KINDS: tuple[Kind, ...] = get_args(Kind)


def id_problem(integration: str) -> str | None:
    """Return why a text is no integration ID, None where it is one."""
    if re.fullmatch(ID_PATTERN, integration):
        return None
    return f"--id {integration!r}: use 8 to 64 characters of a-z, 0-9 and '-', as `write` prints it"


def scopes_for(kinds: Sequence[Kind], *, writes: bool) -> tuple[Scope, ...]:
    """Return the scopes that a client of these kinds of data needs."""
    scopes: dict[Kind, tuple[Scope, Scope]] = {
        "metrics": ("metrics:read", "metrics:write"),
        "logs": ("logs:read", "logs:write"),
    }
    return tuple(scopes[kind][writes] for kind in kinds)


@dataclass(frozen=True)
class Destination:
    """A tenant as the client reaches it.

    Attributes:
        tenant: Its name.
        metrics_url: The URL of its Cortex, without a final slash.
        logs_url: The URL of its Loki, without a final slash.
        token_path: The absolute path of the token file on the client's machine.
    """

    tenant: str
    metrics_url: str
    logs_url: str
    token_path: str


@dataclass(frozen=True, kw_only=True)
class Integration:
    """What a client's configuration is made from.

    Attributes:
        id: The integration ID.
        instance: The name of the instance.
        destinations: The tenants. The first gets all data that no namespace assigns to another.
        folder: The absolute path of the folder on the client's machine that has the file and the client's own state.
        ca_path: The absolute path of a CA file on the client's machine; None for the public CAs.
        proxy: The URL of a proxy; None for none.
        namespaces: Tenants by the Kubernetes namespaces whose data goes to them.
        scrape: Targets to scrape, as host and port, by the names of their jobs.
        log_files: Patterns of log files to follow, as absolute paths.
        secret: The Kubernetes Secret that has the token files; None without Kubernetes.
        namespace: The Kubernetes namespace of the client; empty where the format does not fix it.
        command: The command that writes this configuration again.
    """

    id: str
    instance: str
    destinations: Sequence[Destination]
    folder: str
    ca_path: str | None = None
    proxy: str | None = None
    namespaces: Mapping[str, str] = field(default_factory=dict)
    scrape: Mapping[str, Sequence[str]] = field(default_factory=dict)
    log_files: Sequence[str] = ()
    secret: str | None = None
    namespace: str = ""
    command: str = ""

    @property
    def main(self) -> Destination:
        """The first tenant."""
        return self.destinations[0]
