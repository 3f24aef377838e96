"""What the checks look at: an instance's configuration, and its account, cluster and domain, asked politely."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import dns.exception
import dns.resolver
from botocore.exceptions import ClientError

from components.config.stack import StackConfig
from components.core.names import instance_domain
from scripts.checks.finding import Finding
from scripts.clients.aws import Clients
from scripts.clients.kubernetes import Cluster

DENIED = (
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "AuthorizationError",
    "Client.UnauthorizedOperation",
)
# The prefix of a service's actions in IAM policies, where it is not the service's name.
PREFIXES = {"elbv2": "elasticloadbalancing", "service-quotas": "servicequotas"}
ACTIONS = {"s3:ListBuckets": "s3:ListAllMyBuckets"}  # where the action has another name than the operation
DNS_SECONDS = 5.0


class DeniedError(Exception):
    """A request that the credentials may not make; its text is the IAM action."""


class NoAnswerError(Exception):
    """A name server that does not answer; its text says why."""


def action_of(service: str, operation: str) -> str:
    """Return the IAM action that permits an operation, such as `DescribeSubnets` of `ec2`."""
    action = f"{PREFIXES.get(service, service)}:{operation}"
    return ACTIONS.get(action, action)


@dataclass(frozen=True)
class Account:
    """An AWS account, for reading alone."""

    clients: Clients | Mapping[str, Any]

    def ask(self, service: str, operation: str, **arguments: Any) -> Any:
        """Return the answer of an operation, with all its pages.

        Raises `DeniedError` where the credentials may not call it, and `ClientError` for any other refusal.
        """
        client = self.clients[service]
        if not client.can_paginate(operation):
            return self.ask_once(service, operation, **arguments)
        pages = client.get_paginator(operation).paginate(**arguments)
        return self._answer(service, pages.build_full_result)

    def ask_once(self, service: str, operation: str, **arguments: Any) -> Any:
        """Return the first page of an operation's answer; raises as `ask` does."""
        return self._answer(service, partial(getattr(self.clients[service], operation), **arguments))

    def _answer(self, service: str, request: Callable[[], Any]) -> Any:
        try:
            return request()
        except ClientError as refused:
            if refused.response["Error"]["Code"] in DENIED:
                raise DeniedError(action_of(service, refused.operation_name)) from refused
            raise


@dataclass(frozen=True)
class Records:
    """The records of the public DNS, as this machine's resolver answers."""

    resolver: dns.resolver.Resolver | None = None

    def of(self, name: str, kind: str) -> list[Any]:
        """Return the records of a name; none where it does not exist. Raises `NoAnswerError` where nothing answers."""
        try:
            resolver = self.resolver or dns.resolver.Resolver()
            return [*resolver.resolve(name, kind, lifetime=DNS_SECONDS, raise_on_no_answer=False)]
        except dns.resolver.NXDOMAIN:
            return []
        except dns.exception.DNSException as silent:
            raise NoAnswerError(f"{kind} of {name}: {silent}") from silent


@dataclass(frozen=True)
class Subject:
    """An instance and its surroundings, as a check sees them. Threads may share it.

    `own_stacks` is the number of tenants with stacks of their own, which `config` does not have.
    """

    instance: str
    config: StackConfig
    account: Account
    cluster: Cluster
    records: Records = field(default_factory=Records)
    own_stacks: int = 0

    @property
    def domain(self) -> str:
        """The domain of the instance."""
        return instance_domain(self.instance, self.config.domain)

    @property
    def certificates(self) -> int:
        """How many certificates the instance has: one of its own, one of each tenant, one of `system`."""
        return len(self.config.tenants) + self.own_stacks + 2

    @cached_property
    def nodes(self) -> list[dict[str, Any]]:
        """The nodes of the cluster; raises `UserError` where it does not answer."""
        return self.cluster.nodes()

    @cached_property
    def node_instances(self) -> list[dict[str, Any]]:
        """The instances of the nodes in EC2."""
        identities = [*filter(None, map(instance_of, self.nodes))]
        if not identities:
            return []
        answer = self.account.ask("ec2", "describe_instances", InstanceIds=identities)
        return [instance for reservation in answer["Reservations"] for instance in reservation["Instances"]]

    @cached_property
    def zones(self) -> list[dict[str, Any]]:
        """The hosted zones of the instance's domain; raises what requests raise."""
        zones = self.account.ask("route53", "list_hosted_zones_by_name", DNSName=self.domain)["HostedZones"]
        return [zone for zone in zones if zone["Name"].rstrip(".") == self.domain]


def instance_of(node: Mapping[str, Any]) -> str | None:
    """Return the id of a node's instance, None where its provider ID names none, such as for Fargate."""
    identity = str(node.get("spec", {}).get("providerID") or "").rsplit("/", 1)[-1]
    return identity if identity.startswith("i-") else None


def zone_of(node: Mapping[str, Any]) -> str | None:
    """Return the availability zone of a node."""
    return (node["metadata"].get("labels") or {}).get("topology.kubernetes.io/zone")


@dataclass(frozen=True)
class Check:
    """A check: its name, and what finds something out about a subject. `find` may raise what requests raise."""

    name: str
    find: Callable[[Subject], list[Finding]]
