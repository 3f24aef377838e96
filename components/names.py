"""Names: which are allowed, and how those of AWS, Kubernetes and DNS are made from them."""

import hashlib
import re
from collections.abc import Sequence
from typing import Literal

INSTANCE_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,21}[a-z0-9])$"
TENANT_PATTERN = r"^[a-z0-9]{1,30}$"
DOMAIN_PATTERN = r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"
SYSTEM = "system"
GATEWAY_NAMESPACE = "opstrace"

BUCKET_NAME_LENGTH = 63  # Amazon S3 user guide, 'Bucket naming rules'
HASH_LENGTH = 8
RANDOM_BYTES = 4  # at the end of a bucket's name, in hexadecimal digits
RETENTION_TAG = "opstrace:retention-days"  # of a bucket: what is retained still tells for how long it was to be kept

BucketKind = Literal["metrics", "config", "logs"]
BUCKET_KINDS: tuple[BucketKind, ...] = ("metrics", "config", "logs")
Api = Literal["cortex", "loki"]
APIS: tuple[Api, ...] = ("cortex", "loki")
ALERTMANAGER = "alertmanager"  # the Service and pod of a tenant that has one; it is part of the API `cortex`
TAIL = "/loki/api/v1/tail"  # Loki's, by websocket
ALERTMANAGER_PATH = "/alertmanager"
PORTS: dict[Api, int] = {"cortex": 9009, "loki": 3100}  # of the pods; the Alertmanager's is Cortex's


def instance_name_problem(name: str) -> str | None:
    """Return why `name` cannot be an instance's, or None."""
    if re.fullmatch(INSTANCE_PATTERN, name):
        return None
    return (
        f"instance name {name!r}: must be 2 to 23 characters of a-z, 0-9 and '-', with neither end a '-': "
        "it becomes part of DNS names and bucket names"
    )


def tenant_name_problem(name: str) -> str | None:
    """Return why `name` cannot be a user tenant's, or None."""
    if name == SYSTEM:
        return f"tenant name {name!r}: it is the instance's own tenant, which is there always; choose another name"
    if re.fullmatch(TENANT_PATTERN, name):
        return None
    return f"tenant name {name!r}: must be 1 to 30 characters of a-z and 0-9, for it becomes part of DNS names"


def doubles(names: Sequence[str]) -> list[str]:
    """Return the names that are given more than once, sorted."""
    return sorted({name for name in names if names.count(name) > 1})


def instance_domain(instance: str, domain: str) -> str:
    """Return the domain below which all of an instance's names stand."""
    return f"{instance}.{domain}"


def api_host(api: Api, tenant: str, domain: str) -> str:
    """Return the host name of a tenant's API; `domain` is the instance's."""
    return f"{api}.{tenant}.{domain}"


def api_url(api: Api, tenant: str, domain: str, port: int = 443) -> str:
    """Return the URL of a tenant's API, without a final slash."""
    return f"https://{api_host(api, tenant, domain)}" + ("" if port == 443 else f":{port}")


def namespace(tenant: str) -> str:
    """Return the Kubernetes namespace of a tenant."""
    return f"{tenant}-tenant"


def bucket_prefix(instance: str, tenant: str, kind: BucketKind, random_length: int) -> str:
    """Return the physical name of a bucket up to its random end of `random_length` characters.

    The readable part is cut where it is too long; the hash is of the full name, which
    stands in the bucket's tags.
    """
    full = f"{instance}/{tenant}/{kind}"
    digest = hashlib.sha256(full.encode()).hexdigest()[:HASH_LENGTH]
    end = f"-{kind}-{digest}-"
    room = BUCKET_NAME_LENGTH - len(end) - random_length
    return f"{instance}-{tenant}"[:room].rstrip("-") + end


def role_name(instance: str, tenant: str) -> str:
    """Return the name of a tenant's IAM role, at most 63 of the 64 characters that IAM allows."""
    return f"opstrace-{instance}-{tenant}"


def alerts_role_name(instance: str, tenant: str) -> str:
    """Return the name of the IAM role of a tenant's Alertmanager, at most the 64 characters that IAM allows."""
    return f"opsalerts-{instance}-{tenant}"


def public_keys_secret(instance: str) -> str:
    """Return the name of the Secrets Manager secret that holds the instance's key set."""
    return f"opstrace/{instance}/data-api-public-keys"


def key_limits_secret(instance: str) -> str:
    """Return the name of the Secrets Manager secret that holds what the keys' tokens may be for."""
    return f"opstrace/{instance}/data-api-key-limits"


def token_audience(instance: str) -> str:
    """Return the `aud` claim of an instance's tenant API tokens."""
    return f"opstrace-cluster-{instance}"


def token_subject(tenant: str) -> str:
    """Return the `sub` claim of a tenant's API tokens."""
    return f"tenant-{tenant}"
