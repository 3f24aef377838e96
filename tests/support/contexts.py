"""Contexts for tests of the command: each has its own stack files, and the test's engine, account and cluster."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner, Result

from scripts.checks.finding import Finding
from scripts.clients.gateway.reach import Obstacle
from scripts.clients.providers import Provider, Start
from scripts.context.context import Context, Target
from scripts.ui.terminal import Terminal


class EmptyS3:
    """An account without buckets, as far as the command asks S3."""

    def get_paginator(self, operation: str) -> "EmptyS3":
        return self

    def paginate(self, **_: Any) -> list[Any]:
        return []

    def get_waiter(self, condition: str) -> "EmptyS3":
        assert condition == "bucket_not_exists"
        return self

    def wait(self, **_: Any) -> None:
        """Return at once, as if no bucket existed."""

    def head_bucket(self, **_: Any) -> None:
        """Return, as if the bucket existed."""


class EmptyAcm:
    """An account without certificates."""

    def can_paginate(self, _: str) -> bool:
        return False

    def list_certificates(self, **_: Any) -> dict[str, list[Any]]:
        return {"CertificateSummaryList": []}


class EmptyCluster:
    """A cluster without objects."""

    where = "the current context"

    def get(self, *_: Any) -> Any:
        return None

    def labels(self, *_: Any) -> dict[str, str] | None:
        return None

    def objects(self, *_: Any) -> list[dict[str, Any]]:
        return []

    def has_object(self, *_: Any) -> bool:
        return False


class Counting(Terminal):
    """Keeps the totals and the steps of a counted task."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    @contextmanager
    def counted(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        self.counts.append(total)
        yield self.counts.append


class FakeContext(Context):
    """A context with the parts that a test passes; all other parts are empty."""

    def __init__(  # noqa: PLR0913 one for each part of the context
        self,
        stacks: Path,
        engine: Callable[[str], Any] | None = None,
        *,
        aws: Any = None,
        cluster: Any = None,
        provider: Provider | None = None,
        terminal: Terminal | None = None,
        cloud: Any = None,
    ) -> None:
        super().__init__(stacks, terminal or Terminal())
        self.bucket_gone_seconds = 2
        self.findings: list[Finding] = []  # of the preflight
        self.starts_pods: bool | None = None  # whether the last preflight may
        self.found_obstacle: Obstacle | None = None  # between this machine and the gateway
        self.gateway: Any = None  # the client of tenants' APIs
        self._engine, self._provider = engine, provider or Provider({})
        self.aws: Any = aws or {"s3": EmptyS3(), "acm": EmptyAcm()}
        self._cloud = cloud
        self.test_cluster: Any = cluster or EmptyCluster()

    def provider(self, name: str, start: Start | None = None) -> Provider:
        return self._provider

    def require_provider(self, name: str) -> None:
        """Accept the test's provider."""

    def embedded_cloud(self, *, must_run: bool = False) -> Any:
        assert self._cloud, "the test has no embedded cloud"
        return self._cloud

    def engine(self, provider: Provider, stack: str, output: Any = None, engines: Any = None) -> Any:
        assert self._engine, "the test has no engine"
        return self._engine(stack)

    def clients(self, provider: Provider, config: Any) -> Any:
        return self.aws, self.test_cluster

    def preflight(
        self, provider: Provider, instance: str, config: Any, *, live: bool, added: Any = ()
    ) -> list[Finding]:
        self.starts_pods = live
        return self.findings

    def quotas(self, provider: Provider, instance: str, config: Any) -> list[Finding]:
        return self.findings

    def cluster(self, provider: Provider, config: Any) -> Any:
        return self.test_cluster

    def require_cluster(self, cluster: Any, instance: str) -> None:
        """Accept the test's cluster."""

    def gateway_pods(self, provider: Provider, config: Any, instance: str) -> dict[str, Any]:
        return {}

    def obstacle(self, url: str, ca_file: Path | None, seconds: float) -> Obstacle | None:
        return self.found_obstacle

    def gateway_client(self, ca_file: Path | None, token: str | None, seconds: float) -> Any:
        assert self.gateway, "the test has no gateway"
        return self.gateway(token)

    def http_status(self, provider: Provider, url: str, token: str | None = None) -> int | None:
        return 200


class WithoutProvider(FakeContext):
    """A context for commands that must refuse before they ask for a provider, which may install packages or start a cloud."""

    def provider(self, name: str, start: Start | None = None) -> Provider:
        raise AssertionError(f"the provider {name} was asked for")


def fake_target(context: FakeContext, engine: Any = None) -> Target:
    """Return a target in a test's context, for services that need no stack file."""
    return Target(context, Provider({}), engine, context.aws, context.test_cluster)


def invoke(context: Context, command: click.Command, *arguments: object, typed: str | None = None) -> Result:
    """Run a command in a context; `typed` is its standard input."""
    return CliRunner().invoke(command, [str(argument) for argument in arguments], obj=context, input=typed)
