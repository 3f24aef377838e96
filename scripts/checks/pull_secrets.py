"""Whether the image pull Secrets of the stack file are where the pods look for them."""

from components.core.names import GATEWAY_NAMESPACE, SYSTEM, namespace
from scripts.checks.finding import Finding, ok, warning
from scripts.checks.subject import Subject
from scripts.clients.kubernetes import Cluster

NAME = "pull secrets"
GUIDE = "docs/how-to/platform.md, 'Take images from your registry'"


def find_pull_secrets(subject: Subject) -> list[Finding]:
    """Check each namespace that exists. An update creates the others, so what will be in them is unknown.

    A missing Secret is no error: the kubelet then pulls without it, or a node has the image.
    """
    secrets = subject.config.images.pull_secrets
    if not secrets:
        return [ok(NAME, "none in use")]
    names = [
        GATEWAY_NAMESPACE,
        *(namespace(tenant) for tenant in (SYSTEM, *(one.name for one in subject.config.tenants))),
    ]
    existing = [name for name in names if subject.cluster.has_object("namespaces", name)]
    if not existing:
        message = f"the update creates the namespaces {', '.join(names)}, and each needs {', '.join(secrets)}"
        return [warning(NAME, message, f"let an operator copy them, or create them while the update waits: {GUIDE}")]
    found = [_missing(subject.cluster, secret, existing) for secret in secrets]
    return [one for one in found if one] or [ok(NAME, f"in the {len(existing)} namespaces that exist")]


def _missing(cluster: Cluster, secret: str, namespaces: list[str]) -> Finding | None:
    """Return a warning where namespaces lack a Secret."""
    without = [name for name in namespaces if not cluster.has_object("secrets", secret, name)]
    if not without:
        return None
    return warning(NAME, f"{', '.join(without)} have no Secret {secret}", f"create it there: {GUIDE}")
