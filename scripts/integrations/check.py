"""Checking an integration: a probe through the gateway, then the wait for data of the client itself."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from components.core.names import api_url, instance_domain
from components.core.scopes import SCOPES, Scope
from scripts.checks.finding import Finding, error, ok
from scripts.integrations.arrival import ByCluster, ByGateway, Reader
from scripts.integrations.files import certificates_in
from scripts.integrations.integration import KINDS, Kind
from scripts.integrations.probe_bodies import logs_body, metrics_body
from scripts.integrations.tokens import granted_scopes
from scripts.stackfile.file import own_stack_tenants
from scripts.tenants.locate import require_tenants
from scripts.tokens.parse import token_in
from scripts.tokens.verify import refusals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from components.config.stack import StackConfig
    from scripts.context.context import Context
    from scripts.tokens.parse import Token

POLL_SECONDS = 2.0
PROBE_SECONDS = 30.0  # after which an accepted probe must be in the answers to queries
SUCCESS, UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 200, 401, 403, 404
REDIRECT = 300
PUSHES: dict[Kind, tuple[Scope, str]] = {
    "metrics": ("metrics:write", "/api/v1/otlp/v1/metrics"),
    "logs": ("logs:write", "/loki/api/v1/push"),
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """The arguments and options of `check`.

    Attributes:
        provider: The name of the provider.
        instance: The name of the instance.
        tenant: The tenant that should get the data.
        id: The integration ID.
        token_file: The file of the client's token; None to send no probe.
        kinds: The kinds of data that must arrive; none: any.
        ca_file: A file with a CA that signed the gateway's certificates; None for the provider's.
        seconds: How long to wait for data.
    """

    provider: str
    instance: str
    tenant: str
    id: str
    token_file: Path | None
    kinds: Sequence[Kind]
    ca_file: Path | None
    seconds: float


class Check:
    """The check of one integration. Each step returns findings; the first error ends the check."""

    def __init__(self, context: Context, options: Options) -> None:
        self._context, self._options = context, options
        self._config: StackConfig = context.require_file(options.instance).config()
        require_tenants(context, options.instance, [options.tenant])
        self._provider = context.provider(options.provider)
        if options.ca_file:
            certificates_in(options.ca_file)
        self._ca_file = options.ca_file or self._provider.ca_file
        self._token = None if options.token_file is None else token_in(str(options.token_file))
        domain, port = instance_domain(options.instance, self._config.domain), self._config.load_balancer.port
        self._urls: dict[Kind, str] = {
            "metrics": api_url("cortex", options.tenant, domain, port),
            "logs": api_url("loki", options.tenant, domain, port),
        }

    def findings(self) -> list[Finding]:
        """Return what was found, up to the first error."""
        found: list[Finding] = []
        for step in (self._reach, self._probe, self._arrival):
            found += step()
            if any(one.level == "error" for one in found):
                break
        return found

    def _reach(self) -> list[Finding]:
        """Return whether the hosts of the tenant are reached."""
        for url in self._urls.values():
            obstacle = self._context.obstacle(url, self._ca_file)
            if obstacle:
                return [error(obstacle.stage, obstacle.reason, obstacle.remedy)]
        return [ok("gateway", f"{self._urls['metrics']} is reached, and its certificate is trusted")]

    def _probe(self) -> list[Finding]:
        """Send a probe for each kind of data that the token may write, and wait until queries return it."""
        if self._token is None:
            return []
        problems = refusals(
            self._token,
            self._config,
            self._options.instance,
            time.time(),
            own_stack_tenants(self._context.stacks, self._options.instance),
        )
        granted = granted_scopes(self._token, self._config) if self._config.data_api.authentication else SCOPES
        # A refused token is sent too: the answer shows what the gateway has in force.
        kinds = self._options.kinds or [kind for kind in KINDS if PUSHES[kind][0] in granted] or KINDS
        found: list[Finding] = []
        for kind in kinds:
            lacking = [] if PUSHES[kind][0] in granted else [f"the token lacks {PUSHES[kind][0]}"]
            found += self._pushed(kind, self._token, [*problems, *lacking])
            if found[-1].level == "error":
                return found
        return [*found, *self._queryable(kinds)]

    def _pushed(self, kind: Kind, token: Token, problems: Sequence[str]) -> list[Finding]:
        url = f"{self._urls[kind]}{PUSHES[kind][1]}"
        status, text = self._context.gateway_client(self._ca_file, token.text).request("POST", url, self._body(kind))
        said = f"{url} answers {status}: {text.strip()[:300]}"
        if status in (UNAUTHORIZED, FORBIDDEN):
            why = (
                "; ".join(problems)
                or "the stack file accepts it, so the gateway has another state: `pulumi up` applies it"
            )
            return [
                error("token", f"{said} ({why})", "replace the token file, or see docs/reference/gateway-answers.md")
            ]
        if status == NOT_FOUND:
            return [
                error(
                    "path",
                    said,
                    f"apply the tenant {self._options.tenant} with `pulumi up`, and see `./opstrace status`",
                )
            ]
        if not SUCCESS <= status < REDIRECT:
            return [error("push", said, "see docs/reference/gateway-answers.md for this answer")]
        return [ok("push", f"{url} accepts a probe of {kind}")]

    def _body(self, kind: Kind) -> str:
        now = str(time.time_ns())
        return metrics_body(self._options.id, now) if kind == "metrics" else logs_body(self._options.id, now, "probe")

    def _queryable(self, kinds: Sequence[Kind]) -> list[Finding]:
        """Return whether queries return the probes."""
        missing = [*kinds]
        end = time.monotonic() + PROBE_SECONDS
        while missing := [kind for kind in missing if not self._reader.has_probe(kind)]:
            if time.monotonic() >= end:
                return [
                    error(
                        "query",
                        f"the probe of {', '.join(missing)} was accepted, but queries do not return it after {PROBE_SECONDS:.0f} s",
                        "`./opstrace tenants list` shows whether the tenant's pods are ready",
                    )
                ]
            time.sleep(POLL_SECONDS)
        return [ok("query", f"queries return the probe of {', '.join(kinds)}")]

    def _arrival(self) -> list[Finding]:
        """Wait until data of the client itself has arrived."""
        wanted = self._options.kinds
        end = time.monotonic() + self._options.seconds
        with self._context.terminal.step(f"waiting for data of {self._options.id}", self._options.seconds):
            while True:
                counts = {kind: self._reader.count(kind) for kind in wanted or KINDS}
                if all(counts.values()) if wanted else any(counts.values()):
                    return [ok("data", _in_words(counts))]
                if time.monotonic() >= end:
                    break
                time.sleep(POLL_SECONDS)
        silent = [kind for kind in counts if not counts[kind]]
        return [
            error(
                "data",
                f"no {' or '.join(silent)} of {self._options.id} arrived in {self._options.seconds:.0f} s",
                "check that the client runs with the written file, and look for errors in its log",
            )
        ]

    @cached_property
    def _reader(self) -> Reader:
        """What reads the tenant's data: the token if it may, the administrator's access to the cluster otherwise."""
        options = self._options
        if self._token is not None:
            granted = granted_scopes(self._token, self._config)
            if {"metrics:read", "logs:read"} <= {*granted}:
                client = self._context.gateway_client(self._ca_file, self._token.text)
                return ByGateway(options.id, client, self._urls)
        return ByCluster(options.id, self._context.cluster(self._provider, self._config), options.tenant)


def _in_words(counts: dict[Kind, int]) -> str:
    words: dict[Kind, str] = {"metrics": "series", "logs": "lines of the last minutes"}
    return ", ".join(f"{kind}: {counts[kind]} {words[kind]}" for kind in counts if counts[kind])


def check_integration(context: Context, options: Options) -> list[Finding]:
    """Return what the check of an integration found; raises `UserError` for an unknown tenant, or without an answer."""
    return Check(context, options).findings()
