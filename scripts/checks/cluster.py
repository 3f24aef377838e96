"""Checks of the cluster: its version, issuer, address family, storage class and pull secrets, and whether network policies are off."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from components.core.names import COLLECTORS_NAMESPACE, GATEWAY_NAMESPACE, SYSTEM, namespace
from scripts.checks.account import EKS_ISSUER
from scripts.checks.finding import Finding, error, ok, warning
from scripts.checks.storage_class import storage_class_finding
from scripts.checks.subject import Subject
from scripts.clients.cluster_identity import api_addresses
from scripts.clients.kubernetes import ISSUER_PATH, Cluster
from scripts.clients.mismatches import family_mismatch, issuer_mismatch

OLDEST = (1, 30)  # docs/how-to/aws.md
SOON = timedelta(days=60)
UPGRADE = "upgrade the cluster, one minor version at a time: `aws eks update-cluster-version`"
FAMILY = "address family"
PULL_SECRETS = "pull secrets"
PULL_SECRETS_GUIDE = "docs/how-to/platform.md, 'Take images from your registry'"
VPC_CNI = ("apps/v1", "DaemonSet", "aws-node", "kube-system")


def find_version(subject: Subject) -> list[Finding]:
    """Check that the cluster answers, and that its version is supported here and by EKS."""
    version = str((subject.cluster.read("/version") or {}).get("gitVersion"))
    if not subject.config.cluster.oidc_issuer.startswith(EKS_ISSUER):
        return version_findings(version, None)
    match = re.match(r"v?(\d+\.\d+)", version)
    versions = {"clusterVersions": [match[1]]} if match else {}
    answer = subject.account.ask("eks", "describe_cluster_versions", includeAll=True, **versions)
    return version_findings(version, answer["clusterVersions"])


def version_findings(
    version: str, supported: Iterable[Mapping[str, Any]] | None, today: datetime | None = None
) -> list[Finding]:
    """Return what a version means; `supported` is EKS's answer about versions, None for another cluster than EKS's."""
    name, match = "cluster version", re.match(r"v?(\d+)\.(\d+)", version)
    if not match:
        return [warning(name, f"the cluster says that it is {version!r}", "compare it with the documentation")]
    number = int(match[1]), int(match[2])
    if number < OLDEST:
        return [error(name, f"Kubernetes {version} is older than {'.'.join(map(str, OLDEST))}", UPGRADE)]
    if supported is None:
        return [ok(name, f"Kubernetes {version}")]
    short = f"{match[1]}.{match[2]}"
    return [_support(short, next((one for one in supported if one["clusterVersion"] == short), {}), today)]


def _support(version: str, entry: Mapping[str, Any], today: datetime | None) -> Finding:
    """Return what EKS's entry of a version means; empty where EKS does not have the version."""
    name, status, end = "cluster version", entry.get("versionStatus"), entry.get("endOfStandardSupportDate")
    if status == "EXTENDED_SUPPORT":
        return warning(name, f"Kubernetes {version} is in extended support, which costs extra", UPGRADE)
    if status != "STANDARD_SUPPORT":
        return error(name, f"EKS does not support Kubernetes {version}", UPGRADE)
    if end and end - (today or datetime.now(UTC)) < SOON:
        return warning(name, f"standard support of Kubernetes {version} ends on {end:%Y-%m-%d}", UPGRADE)
    return ok(name, f"Kubernetes {version}, in standard support")


def find_issuer(subject: Subject) -> list[Finding]:
    """Check that the cluster of the context issues the tokens that AWS trusts."""
    cluster = subject.cluster
    issuer = (cluster.read(ISSUER_PATH) or {}).get("issuer")
    return issuer_findings(issuer, subject.config.cluster.oidc_issuer, cluster.where)


def issuer_findings(issuer: str | None, expected: str, where: str) -> list[Finding]:
    """Return what the issuer of the cluster of `where` means, None where the cluster does not tell it."""
    name = "issuer"
    if issuer is None:
        remedy = f"allow `get {ISSUER_PATH}`, or compare the issuer yourself"
        return [warning(name, "the cluster does not tell the issuer of its tokens", remedy)]
    if mismatch := issuer_mismatch(issuer, expected, where):
        return [error(name, mismatch.message, mismatch.remedy)]
    return [ok(name, issuer)]


def find_family(subject: Subject) -> list[Finding]:
    """Check that pods have IPv4 addresses."""
    addresses = api_addresses(subject.cluster)
    if mismatch := family_mismatch(addresses, subject.cluster.where):
        return [error(FAMILY, mismatch.message, mismatch.remedy)]
    return [ok(FAMILY, f"the API server is {', '.join(addresses)}" if addresses else "not told by the cluster")]


def find_storage_class(subject: Subject) -> list[Finding]:
    """Check that volumes of the back ends can be created."""
    return [storage_class_finding(subject.cluster, subject.config.cluster.storage_class)]


def find_pull_secrets(subject: Subject) -> list[Finding]:
    """Check each namespace that exists. An update creates the others, so what will be in them is unknown.

    A missing Secret is no error: the kubelet then pulls without it, or a node has the image.
    """
    secrets = subject.config.images.pull_secrets
    if not secrets:
        return [ok(PULL_SECRETS, "none in use")]
    names = [
        GATEWAY_NAMESPACE,
        *([COLLECTORS_NAMESPACE] if subject.config.collectors.enabled else []),
        *(namespace(tenant) for tenant in (SYSTEM, *(one.name for one in subject.config.tenants))),
    ]
    existing = [name for name in names if subject.cluster.has_object("namespaces", name)]
    if not existing:
        message = f"the update creates the namespaces {', '.join(names)}, and each needs {', '.join(secrets)}"
        return [
            warning(
                PULL_SECRETS,
                message,
                f"let an operator copy them, or create them while the update waits: {PULL_SECRETS_GUIDE}",
            )
        ]
    found = [_missing(subject.cluster, secret, existing) for secret in secrets]
    return [one for one in found if one] or [ok(PULL_SECRETS, f"in the {len(existing)} namespaces that exist")]


def _missing(cluster: Cluster, secret: str, namespaces: list[str]) -> Finding | None:
    """Return a warning where namespaces lack a Secret."""
    without = [name for name in namespaces if not cluster.has_object("secrets", secret, name)]
    if not without:
        return None
    return warning(
        PULL_SECRETS, f"{', '.join(without)} have no Secret {secret}", f"create it there: {PULL_SECRETS_GUIDE}"
    )


def find_policies(subject: Subject) -> list[Finding]:
    """Check that network policies are not switched off, by the stack file and by the VPC CNI's own setting."""
    return policy_findings(subject.config.cluster.enforces_network_policies, subject.cluster.get(*VPC_CNI))


def policy_findings(declared: bool | None, vpc_cni: Mapping[str, Any] | None) -> list[Finding]:
    """Return what the setting means; `vpc_cni` is the DaemonSet of the VPC CNI, None where the cluster has none."""
    name = "network policies"
    containers = (vpc_cni or {}).get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])
    arguments = [argument for container in containers for argument in container.get("args") or []]
    off = vpc_cni is not None and "--enable-network-policy=true" not in arguments
    enable = 'enable them: `enableNetworkPolicy: "true"` in the configuration of the add-on vpc-cni'
    if declared and off:
        message = "opstrace:cluster.enforcesNetworkPolicies is true, but the VPC CNI does not enforce them"
        return [warning(name, message, f"{enable}, unless another plugin enforces them, such as Calico")]
    if not declared:
        message = "the cluster is not said to enforce them, so every pod of the cluster may reach every tenant's data"
        remedy = (
            f"{enable if off else 'use a network plugin that enforces them'}, then set enforcesNetworkPolicies: true"
        )
        return [warning(name, message, remedy)]
    return [ok(name, "said to be enforced")]
