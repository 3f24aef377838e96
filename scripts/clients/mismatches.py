"""How the AWS account and the cluster differ from those of the stack file, in the words of refusals and of `check`."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from components.core.errors import UserError


@dataclass(frozen=True)
class Mismatch:
    """A difference: what is the case, with both values, and the remedy."""

    message: str
    remedy: str

    def error(self) -> UserError:
        """Return the error that refuses a change."""
        return UserError(f"{self.message}; {self.remedy}")


def account_mismatch(account: str, expected: str) -> Mismatch | None:
    """Return the difference where the credentials are not of the `expected` account, that of the identity provider.

    Pods could not assume roles in another account, and could not reach its buckets.
    """
    if account == expected:
        return None
    return Mismatch(
        f"the credentials of this shell are of the AWS account {account}, but opstrace:cluster.oidcProviderArn names the "
        f"account {expected}",
        f"use credentials of {expected}, or set oidcProviderArn to the identity provider in {account}",
    )


def issuer_mismatch(issuer: str, expected: str, where: str) -> Mismatch | None:
    """Return the difference where the cluster of `where` does not issue its tokens as `expected`.

    It is then another cluster, or AWS would not trust the tokens of its pods.
    """
    if issuer.rstrip("/") == expected:
        return None
    return Mismatch(
        f"the cluster of {where} issues tokens as {issuer.rstrip('/')}, but opstrace:cluster.oidcIssuer is {expected}",
        "correct opstrace:cluster.context if it names another cluster than the instance's; for a new instance, set oidcIssuer "
        "and oidcProviderArn to those of this cluster",
    )


def family_mismatch(addresses: Sequence[str], where: str) -> Mismatch | None:
    """Return the difference where the API server of the cluster of `where` has addresses, but none of IPv4."""
    if not addresses or any(ipaddress.ip_address(address).version == 4 for address in addresses):  # noqa: PLR2004 the version of IP
        return None
    return Mismatch(
        f"the cluster of {where} has IPv6 addresses only (its API server is {', '.join(addresses)}), but gateway and back ends "
        "listen on IPv4",
        "use a cluster with IPv4 or both families (of EKS: `ipFamily: ipv4`, which only a new cluster can get)",
    )
