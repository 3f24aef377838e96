"""What a back end knows of its tenant, and a back end as its tenant sees it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import pulumi

from components.config.tenant import TenantSettings
from components.core.names import BucketKind
from components.shared.pod_settings import PLAIN_PODS, PodSettings
from components.shared.pods import Aws

SERVICE_ACCOUNT = "tenant"


@dataclass(frozen=True, kw_only=True)
class StoreArgs:
    """The tenant of a back end, and where its data goes.

    Attributes:
        settings: the tenant's settings with the instance's defaults in them.
        buckets: the physical names of the buckets, by kind.
        role_arn: the ARN of the role that opens the buckets.
        storage_class: the storage class of the volumes; None for the cluster's default class.
        domain: the instance's own domain.
        service_account: the service account of the pods, which may assume the role.
        pods: what the platform wants of the pods.
        rules: the rule file that the ruler of metrics reads in place of the bucket's rules; of the system tenant alone.
    """

    instance: str
    tenant: str
    settings: TenantSettings
    namespace: pulumi.Output[str]
    buckets: Mapping[BucketKind, pulumi.Output[str]]
    role_arn: pulumi.Output[str]
    aws: Aws
    storage_class: str | None
    domain: str
    service_account: str = SERVICE_ACCOUNT
    pods: PodSettings = PLAIN_PODS
    rules: str | None = None


class Backend(Protocol):
    """A back end, as a tenant sees it. `running` is known once its pods run as declared."""

    running: pulumi.Output[str]
