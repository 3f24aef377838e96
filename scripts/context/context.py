"""The context of one command: its stack files, and the engine, the AWS account and the cluster of its provider.

The CLI builds one context per command and passes it to the services. Tests pass their own.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.clients.providers import Provider, Start, embedded_cloud, provider, require_provider
from scripts.stackfile.file import STACKS, StackFile, own_stack_tenants, require, to_edit
from scripts.ui.output import STDERR, Output
from scripts.ui.terminal import TERMINAL, Terminal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import ModuleType
    from typing import Self

    from components.config.stack import StackConfig
    from scripts.checks.finding import Finding
    from scripts.checks.subject import Subject as CheckedSubject
    from scripts.clients.aws import Clients
    from scripts.clients.gateway.client import GatewayClient
    from scripts.clients.gateway.reach import Obstacle
    from scripts.clients.gateway.state import PodState
    from scripts.clients.kubernetes import Cluster
    from scripts.engine.process import Engines
    from scripts.engine.pulumi import Engine


@dataclass(frozen=True)
class Patience:
    """How long `create` waits for first answers, in seconds.

    A load balancer of AWS takes 3 to 5 minutes to register targets, and then checks their health. `before` is the time
    until the first look for what is missing, `between` that between two looks.
    """

    total: float = 15 * 60
    before: float = 10
    between: float = 15


class Context:
    """What a command works with.

    The methods import and make clients when they are called. boto3 and the Kubernetes client take 0.3 s of a processor
    to import, as long as a command on keys takes without them.
    """

    def __init__(self, stacks: Path = STACKS, terminal: Terminal = TERMINAL) -> None:
        self.stacks = stacks
        self.terminal = terminal
        self.output: Output = STDERR
        self.engines: Engines | None = None
        self.bucket_gone_seconds = 60  # how long S3 may still list a deleted bucket
        self.first_answers = Patience()
        self.gives_up_soon = False

    def through(self, terminal: Terminal, output: Output, engines: Engines) -> Self:
        """Return this context with another terminal, whose engines run among `engines` and write to `output`."""
        other = copy.copy(self)
        other.terminal, other.output, other.engines = terminal, output, engines
        return other

    def hurried(self) -> Self:
        """Return this context for reads while somebody waits: its clients of AWS give up soon."""
        other = copy.copy(self)
        other.gives_up_soon = True
        return other

    def stack_file(self, stack: str) -> StackFile:
        """Return the file of a stack, which need not exist yet."""
        return StackFile(stack, self.stacks)

    def require_file(self, stack: str) -> StackFile:
        """Return the file of a stack; raises `UserError` where there is none."""
        return require(stack, self.stacks)

    def file_to_edit(self, stack: str) -> StackFile:
        """Return the file of a stack; raises `UserError` where there is none, or where it cannot be edited."""
        return to_edit(stack, self.stacks)

    def provider(self, name: str, start: Start | None = None) -> Provider:
        """Return a provider by its name; with `start`, start the embedded cloud first."""
        return provider(name, start)

    def require_provider(self, name: str) -> None:
        """Raise `UserError` where a provider cannot be used; `provider` takes a second more."""
        require_provider(name)

    def embedded_cloud(self, *, must_run: bool = False) -> ModuleType:
        """Return the module of the embedded cloud; raises `UserError` where its packages are not installed.

        With `must_run`, also where none was started.
        """
        return embedded_cloud(must_run=must_run)

    def engine(
        self, provider: Provider, stack: str, output: Output | None = None, engines: Engines | None = None
    ) -> Engine:
        """Return the engine on a stack of a provider. With `engines`, it runs beside others.

        `output` and `engines` are the context's own, unless others are passed.
        """
        from scripts.engine.pulumi import Engine

        return Engine(provider.environment, stack, output=output or self.output, engines=engines or self.engines)

    def clients(self, provider: Provider, config: StackConfig) -> tuple[Clients, Cluster]:
        """Return the clients of a stack's AWS account and cluster; raises `UserError` where the account does not answer."""
        from scripts.clients.aws import LONG, SHORT
        from scripts.clients.preflight import reached

        return reached(provider.environment, config, SHORT if self.gives_up_soon else LONG)

    def require_cluster(self, cluster: Cluster, instance: str) -> None:
        """Raise `UserError` where the cluster does not answer, or holds another instance."""
        from scripts.clients.preflight import require_cluster

        require_cluster(cluster, instance)

    def preflight(
        self, provider: Provider, instance: str, config: StackConfig, *, live: bool, added: Iterable[str] = ()
    ) -> list[Finding]:
        """Return what the preflight finds out about an instance's account, network, domain and cluster.

        With `live`, two pods start for some seconds to prove that network policies are enforced. `added` are tenants that get
        stacks of their own; quotas must have room for them too.
        """
        from scripts.checks.preflight import CHECKS, LIVE_CHECKS, findings

        subject = self._checked(provider, instance, config, added)
        return findings(subject, LIVE_CHECKS if live else CHECKS)

    def quotas(self, provider: Provider, instance: str, config: StackConfig) -> list[Finding]:
        """Return what an instance uses of AWS's quotas."""
        from scripts.checks.preflight import QUOTAS, findings

        return findings(self._checked(provider, instance, config), QUOTAS)

    def _checked(
        self, provider: Provider, instance: str, config: StackConfig, added: Iterable[str] = ()
    ) -> CheckedSubject:
        from scripts.checks.subject import Account, Subject
        from scripts.clients.aws import Clients

        account = Account(Clients(provider.environment, config))
        own_stacks = len({*added, *own_stack_tenants(self.stacks, instance)})
        return Subject(instance, config, account, self.cluster(provider, config), own_stacks=own_stacks)

    def require_preflight(
        self,
        provider: Provider,
        instance: str,
        config: StackConfig,
        *,
        live: bool = False,
        added: Iterable[str] = (),
    ) -> None:
        """Print the warnings of the preflight; raises `UserError` with its errors. A stand-in for AWS needs none."""
        from components.config.stack import is_on_aws

        if provider.is_local or not is_on_aws(config.aws):
            return
        from scripts.checks.preflight import require_no_errors

        with self.terminal.step("checking account, network, domain and cluster", 5):
            found = self.preflight(provider, instance, config, live=live, added=added)
        for one in found:
            if one.level == "warning":
                self.terminal.note(f"warning: {one.in_words()}")
        require_no_errors(found)

    def cluster(self, provider: Provider, config: StackConfig) -> Cluster:
        """Return the client of a stack's cluster; AWS is not asked."""
        from scripts.clients.kubernetes import Cluster

        return Cluster(provider.environment, config)

    def gateway_pods(self, provider: Provider, config: StackConfig, instance: str) -> dict[str, PodState | None]:
        """Return what each of the gateway's pods has loaded, None for a pod that does not answer.

        AWS is not asked. Raises `UserError` where the cluster does not answer.
        """
        from scripts.clients.gateway.state import gateway_pods

        return gateway_pods(self.cluster(provider, config), instance)

    def http_status(self, provider: Provider, url: str, token: str | None = None) -> int | None:
        """Return the HTTP status that the gateway answers to a GET, None where it does not answer."""
        from scripts.clients.gateway.probe import status_of

        return status_of(url, provider.ca_file, token)

    def obstacle(self, url: str, ca_file: Path | None, seconds: float) -> Obstacle | None:
        """Return what keeps this machine from the host of `url` for `seconds`, None for nothing."""
        from scripts.clients.gateway.reach import obstacle

        return obstacle(url, ca_file, seconds)

    def gateway_client(self, ca_file: Path | None, token: str | None, seconds: float) -> GatewayClient:
        """Return a client of tenants' APIs with a token; None for an instance without authentication.

        An answer may take `seconds`.
        """
        from scripts.clients.gateway.client import GatewayClient

        return GatewayClient(ca_file, token, seconds)

    def target(self, provider_name: str, instance: str, config: StackConfig, stack: str | None = None) -> Target:
        """Return the parts of an instance, with the engine on its stack, or on `stack`.

        Raises `UserError` where the account or the cluster does not answer, or belongs to another instance.
        """
        provider = self.provider(provider_name)
        engine = self.engine(provider, stack or instance)
        aws, cluster = self.clients(provider, config)
        self.require_cluster(cluster, instance)
        return Target(self, provider, engine, aws, cluster)


@dataclass(frozen=True)
class Target:
    """An instance whose account and cluster answer, with the engine on one of its stacks."""

    context: Context
    provider: Provider
    engine: Engine
    aws: Clients
    cluster: Cluster

    def update(self) -> None:
        """Settle the resources of a killed update, then apply the stack file."""
        self.engine.up(self.aws, self.cluster)

    def settle(self) -> None:
        """Settle the resources of a killed update."""
        self.engine.settle(self.aws, self.cluster)

    def destroy(self) -> None:
        """Remove every resource of the stack, then the stack."""
        self.engine.destroy(self.aws, self.cluster)
