"""Names of instances and tenants: which are allowed, and the names in AWS, Kubernetes and DNS that follow from them."""

import hashlib
import re
from collections.abc import Sequence
from typing import Literal

INSTANCE_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,21}[a-z0-9])$"
TENANT_PATTERN = r"^[a-z0-9]{1,30}$"
DOMAIN_PATTERN = r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"
SYSTEM = "system"
GATEWAY_NAMESPACE = "opstrace"
COLLECTORS_NAMESPACE = "opstrace-collectors"
METRICS_SERVICE = "backend-metrics"  # of the gateway, for the collectors: docs/explanation/security.md

BUCKET_NAME_LENGTH = 63  # Amazon S3 user guide, 'Bucket naming rules'
HASH_LENGTH = 8
RANDOM_BYTES = 4  # at the end of a bucket name, as hexadecimal digits

BucketKind = Literal["metrics", "config", "logs"]
BUCKET_KINDS: tuple[BucketKind, ...] = ("metrics", "config", "logs")
Api = Literal["cortex", "loki"]
APIS: tuple[Api, ...] = ("cortex", "loki")
ALERTMANAGER = "alertmanager"  # a tenant's Service and pod; clients reach it through the API `cortex`
TAIL = "/loki/api/v1/tail"  # of Loki, by websocket
ALERTMANAGER_PATH = "/alertmanager"
HTTPS_PORT = 443  # the default of https URLs
PORTS: dict[Api, int] = {"cortex": 9009, "loki": 3100}  # of the pods; the Alertmanager uses Cortex's


def instance_name_problem(name: str) -> str | None:
    """Return why `name` is refused as an instance name, None where it is allowed."""
    if re.fullmatch(INSTANCE_PATTERN, name):
        return None
    return (
        f"instance name {name!r}: use 2 to 23 characters of a-z, 0-9 and '-', without '-' at either end. "
        "It becomes part of DNS names and bucket names"
    )


def tenant_name_problem(name: str) -> str | None:
    """Return why `name` is refused as the name of a user tenant, None where it is allowed."""
    if name == SYSTEM:
        return f"tenant name {name!r}: the instance's own tenant has this name; choose another one"
    if re.fullmatch(TENANT_PATTERN, name):
        return None
    return f"tenant name {name!r}: use 1 to 30 characters of a-z and 0-9, because the name becomes part of DNS names"


def duplicates(names: Sequence[str]) -> list[str]:
    """Return the names that occur more than once, sorted."""
    return sorted({name for name in names if names.count(name) > 1})


def instance_domain(instance: str, domain: str) -> str:
    """Return the instance's own domain, which all its host names end with."""
    return f"{instance}.{domain}"


def api_host(api: Api, tenant: str, domain: str) -> str:
    """Return the host name of a tenant's API; `domain` is the instance's."""
    return f"{api}.{tenant}.{domain}"


def api_url(api: Api, tenant: str, domain: str, port: int = HTTPS_PORT) -> str:
    """Return the URL of a tenant's API, without a final slash."""
    return f"https://{api_host(api, tenant, domain)}" + ("" if port == HTTPS_PORT else f":{port}")


def namespace(tenant: str) -> str:
    """Return the Kubernetes namespace of a tenant."""
    return f"{tenant}-tenant"


def bucket_prefix(instance: str, tenant: str, kind: BucketKind, random_length: int) -> str:
    """Return the physical name of a bucket without its random end of `random_length` characters.

    A readable part that is too long is shortened. The hash is that of the full name, which the bucket's tags contain.
    """
    full = f"{instance}/{tenant}/{kind}"
    digest = hashlib.sha256(full.encode()).hexdigest()[:HASH_LENGTH]
    end = f"-{kind}-{digest}-"
    room = BUCKET_NAME_LENGTH - len(end) - random_length
    return f"{instance}-{tenant}"[:room].rstrip("-") + end


def role_name(instance: str, tenant: str) -> str:
    """Return the name of a tenant's IAM role. It has at most 63 characters; IAM allows 64."""
    return f"opstrace-{instance}-{tenant}"


def alerts_role_name(instance: str, tenant: str) -> str:
    """Return the name of the IAM role of a tenant's Alertmanager. It has at most the 64 characters that IAM allows."""
    return f"opsalerts-{instance}-{tenant}"


def account_of(arn: str) -> str:
    """Return the AWS account in an ARN."""
    return arn.split(":")[4]


def secret_prefix(instance: str) -> str:
    """Return the beginning of the names of the instance's secrets in Secrets Manager."""
    return f"opstrace/{instance}/"


def public_keys_secret(instance: str) -> str:
    """Return the name of the secret in Secrets Manager with the instance's public keys."""
    return f"{secret_prefix(instance)}data-api-public-keys"


def key_limits_secret(instance: str) -> str:
    """Return the name of the secret in Secrets Manager with the limits of these keys."""
    return f"{secret_prefix(instance)}data-api-key-limits"


AUDIENCE_PREFIX = "opstrace-cluster-"
SUBJECT_PREFIX = "tenant-"


def token_audience(instance: str) -> str:
    """Return the `aud` claim of an instance's tenant API tokens."""
    return f"{AUDIENCE_PREFIX}{instance}"


def token_subject(tenant: str) -> str:
    """Return the `sub` claim of a tenant's API tokens."""
    return f"{SUBJECT_PREFIX}{tenant}"
