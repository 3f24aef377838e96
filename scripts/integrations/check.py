"""Checking an integration: a probe through the gateway, then the wait for data of the client itself."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from components.core.errors import UserError
from components.core.names import api_url, instance_domain, token_subject
from components.core.scopes import SCOPES
from scripts.checks.finding import Finding, error, ok
from scripts.integrations.arrival import ByCluster, ByGateway, Reader
from scripts.integrations.attempt import PUSHES, QUERIES, Attempt
from scripts.integrations.files import certificates_in
from scripts.integrations.integration import KINDS, Kind, id_problem
from scripts.integrations.probe_bodies import logs_body, metrics_body
from scripts.integrations.tokens import granted_scopes
from scripts.stackfile.file import own_stack_tenants
from scripts.tenants.locate import require_tenants
from scripts.tokens.parse import token_in
from scripts.tokens.verify import refusals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from components.config.stack import StackConfig
    from scripts.clients.gateway.client import GatewayClient
    from scripts.context.context import Context
    from scripts.tokens.parse import Token

POLL_SECONDS = 2.0
CLUSTER_REMEDY = "to do without the cluster, name a token that may also read"


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
        reads: Whether the client reads, and sends no data.
        seconds: How long to wait for data.
        timeout: How long the gateway may take for an answer, and queries until they return a probe, in seconds.
    """

    provider: str
    instance: str
    tenant: str
    id: str
    token_file: Path | None
    kinds: Sequence[Kind]
    ca_file: Path | None
    reads: bool
    seconds: float
    timeout: float


class Check:
    """The check of one integration. Each step returns findings; the first error ends the check."""

    def __init__(self, context: Context, options: Options) -> None:
        require_valid(options)
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
        reads, sends = (self._reach, self._query), (self._reach, self._probe, self._queryable, self._arrival)
        for step in reads if self._options.reads else sends:
            try:
                found += step()
            except UserError as problem:  # what was found until then counts
                found.append(error("cluster", str(problem), CLUSTER_REMEDY))
            if any(one.level == "error" for one in found):
                break
        return found

    def _reach(self) -> list[Finding]:
        """Return whether the hosts of the tenant are reached."""
        for url in self._urls.values():
            obstacle = self._context.obstacle(url, self._ca_file, self._options.timeout)
            if obstacle:
                return [error(obstacle.stage, obstacle.reason, obstacle.remedy)]
        return [ok("gateway", f"{self._urls['metrics']} is reached, and its certificate is trusted")]

    def _query(self) -> list[Finding]:
        """Query each kind of data that the token may read."""
        return [] if self._token is None else self._attempts(QUERIES, self._token)

    def _probe(self) -> list[Finding]:
        """Send a probe for each kind of data that the token may write."""
        return [] if self._token is None else self._attempts(PUSHES, self._token)

    def _kinds(self, attempts: Mapping[Kind, Attempt], token: Token) -> Sequence[Kind]:
        """Return the kinds of data that were asked for, or those that the token is for; all where it is for none."""
        granted = granted_scopes(token, self._config) if self._config.data_api.authentication else SCOPES
        return self._options.kinds or [kind for kind in KINDS if attempts[kind].scope in granted] or KINDS

    def _attempts(self, attempts: Mapping[Kind, Attempt], token: Token) -> list[Finding]:
        """Make the requests one after the other, up to the first error.

        A refused token is sent too: the answer shows what the gateway has in force.
        """
        client, found = self._client(token), list[Finding]()
        refusals = self._refusals(token)
        granted = granted_scopes(token, self._config)
        for kind in self._kinds(attempts, token):
            attempt = attempts[kind]
            lacking = [] if attempt.scope in granted else [f"the token lacks {attempt.scope}"]
            body = self._body(kind) if attempt.name == "push" else None
            found.append(
                attempt.finding(
                    client, self._urls[kind], self._options.tenant, body=body, refusals=[*refusals, *lacking]
                )
            )
            if found[-1].level == "error":
                break
        return found

    def _refusals(self, token: Token) -> list[str]:
        """Return the reasons of the stack file to refuse the token for this tenant."""
        options, subject = self._options, token.text_of("sub")
        alone = own_stack_tenants(self._context.stacks, options.instance)
        found = refusals(token, self._config, options.instance, time.time(), alone)
        if subject != token_subject(options.tenant):
            found.append(f"its subject (sub) is {subject!r}, but the tenant is {options.tenant}")
        return found

    def _client(self, token: Token) -> GatewayClient:
        return self._context.gateway_client(self._ca_file, token.text, self._options.timeout)

    def _body(self, kind: Kind) -> str:
        now = str(time.time_ns())
        return metrics_body(self._options.id, now) if kind == "metrics" else logs_body(self._options.id, now, "probe")

    def _queryable(self) -> list[Finding]:
        """Return whether queries return the probes."""
        if self._token is None:
            return []
        kinds = self._sought
        missing, seconds = [*kinds], self._options.timeout
        end = time.monotonic() + seconds
        with self._context.terminal.step(f"waiting until queries return the probe of {', '.join(kinds)}", seconds):
            while missing := [kind for kind in missing if not self._reader.has_probe(kind)]:
                if time.monotonic() >= end:
                    break
                time.sleep(POLL_SECONDS)
        if not missing:
            return [ok("query", f"queries return the probe of {', '.join(kinds)}")]
        said = f"the probe of {', '.join(missing)} was accepted, but queries do not return it after {seconds:.0f} s"
        return [
            error(
                "query",
                f"{said}{self._reader.in_words()}",
                "`./opstrace tenants list` shows whether the tenant's pods are ready; --timeout waits longer",
            )
        ]

    def _arrival(self) -> list[Finding]:
        """Wait until data of the client itself has arrived."""
        end = time.monotonic() + self._options.seconds
        with self._context.terminal.step(f"waiting for data of {self._options.id}", self._options.seconds):
            while True:
                counts = {kind: self._reader.count(kind) for kind in self._sought}
                if all(counts.values()) if self._options.kinds else any(counts.values()):
                    return [ok("data", _in_words(counts))]
                if time.monotonic() >= end:
                    break
                time.sleep(POLL_SECONDS)
        silent = [kind for kind in counts if not counts[kind]]
        said = f"no {' or '.join(silent)} of {self._options.id} arrived in {self._options.seconds:.0f} s"
        return [
            error(
                "data",
                f"{said}{self._reader.in_words()}",
                "check that the client runs with the written file, and look for errors in its log",
            )
        ]

    @cached_property
    def _sought(self) -> Sequence[Kind]:
        """The kinds of data that were asked for, or those that the client may send."""
        return self._options.kinds or KINDS if self._token is None else self._kinds(PUSHES, self._token)

    @cached_property
    def _reader(self) -> Reader:
        """What reads the tenant's data: the token if it may, the administrator's access to the cluster otherwise."""
        options = self._options
        if self._token is not None:
            granted = granted_scopes(self._token, self._config)
            if {QUERIES[kind].scope for kind in self._sought} <= {*granted}:
                return ByGateway(options.id, self._client(self._token), self._urls)
        return ByCluster(options.id, self._context.cluster(self._provider, self._config), options.tenant)


def _in_words(counts: dict[Kind, int]) -> str:
    words: dict[Kind, str] = {"metrics": "series", "logs": "lines of the last minutes"}
    return ", ".join(f"{kind}: {counts[kind]} {words[kind]}" for kind in counts if counts[kind])


def require_valid(options: Options) -> None:
    """Raise `UserError` for an option that is invalid."""
    problem = id_problem(options.id)
    if problem:
        raise UserError(problem)
    if options.reads and options.token_file is None:
        raise UserError("--reads needs --token-file FILE, the token of the client that reads")


def check_integration(context: Context, options: Options) -> list[Finding]:
    """Return what the check of an integration found; raises `UserError` for an unknown tenant, or without an answer."""
    return Check(context, options).findings()
