"""The typed configuration of a stack: the settings under `opstrace:`, their descriptions and their checks.

These classes are the source of the JSON schema (`stacks/opstrace.schema.json`) and of the reference of the stack file.
The descriptions are therefore written for users.
"""

import ipaddress
import re
from typing import Annotated

from pydantic import Field, field_validator

from components.config.base import (
    Name,
    Section,
    checked_tags,
    endpoint_host,
    value_without_problems,
    without_duplicates,
)
from components.config.data_api import DataApiConfig
from components.config.load_balancer import LoadBalancerConfig
from components.config.platform.aws import AwsConfig
from components.config.platform.collectors import CollectorsConfig
from components.config.platform.images import ImagesConfig
from components.config.platform.pods import PodsConfig
from components.config.platform.settings import PlatformSettings
from components.config.platform.system_tenant import SYSTEM_DEFAULTS
from components.config.tenant import TenantConfig, TenantSettings
from components.core.names import DOMAIN_PATTERN, SYSTEM

PREFIX = "opstrace:"
AWS_HOSTS = (".amazonaws.com", ".api.aws")  # the ends of the host names of AWS's endpoints, also of a VPC's own
CERTIFICATE_NAME_LENGTH = 64  # AWS Certificate Manager user guide, 'Quotas': a domain name that is requested
OIDC_PROVIDER_PATTERN = r"^arn:aws:iam::[0-9]{12}:oidc-provider/[^\s*?$]+$"  # a policy names it: no wildcards
SECURITY_GROUP_PATTERN = r"^sg-[0-9a-z]+$"
OIDC_ISSUER_PATTERN = r"^https://[^\s/]\S*[^\s/]$"
EKS_NAME = r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}"  # EKS API reference, CreateCluster
EKS_NAME_PATTERN = f"^{EKS_NAME}$"
EKS_CONTEXT = rf"arn:aws:eks:[a-z0-9-]+:[0-9]{{12}}:cluster/({EKS_NAME})"  # as `aws eks update-kubeconfig` names it


class HostAlias(Section):
    """Host names that pods resolve to an address, ahead of the cluster's DNS."""

    # Not pydantic's IPvAnyAddress: it also accepts numbers and IPv6 zones.
    ip: Annotated[str, Field(description="The address, IPv4 or IPv6. Each address can occur once.")]
    hostnames: Annotated[
        list[str], Field(description="The DNS names, in lower case, that resolve to the address.", min_length=1)
    ]

    @field_validator("ip")
    @classmethod
    def _address(cls, ip: str) -> str:
        problem = f"{ip!r} is not an IP address such as 192.0.2.1 or 2001:db8::1"
        if "%" in ip:  # Python accepts any text as the zone of an IPv6 address; Kubernetes accepts no zone
            raise ValueError(f"{problem}, without a zone")
        try:
            return str(ipaddress.ip_address(ip))
        except ValueError as error:
            raise ValueError(problem) from error

    @field_validator("hostnames")
    @classmethod
    def _names(cls, names: list[str]) -> list[str]:
        wrong = [
            f"{name!r} is not a DNS name in lower case" for name in names if not re.fullmatch(DOMAIN_PATTERN, name)
        ]
        return value_without_problems(wrong, names)


class ClusterConfig(Section):
    """The Kubernetes cluster that the instance runs in. It must exist before the first update."""

    context: Annotated[
        Name | None,
        Field(
            description="Context of the kubeconfig, required on AWS. `kubectl config current-context` prints the current one."
        ),
    ] = None
    name: Annotated[
        str | None,
        Field(
            description="Name of the EKS cluster, for loadBalancer.nodeGroups and EKS Auto Mode. Default: the name in "
            "`context`, if that is the cluster's ARN, as `aws eks update-kubeconfig` writes it.",
            pattern=EKS_NAME_PATTERN,
        ),
    ] = None
    storage_class: Annotated[
        Name | None,
        Field(
            description="Storage class of the back ends' volumes, which hold the write-ahead logs. "
            "Default: the cluster's default class; EKS has none."
        ),
    ] = None
    oidc_provider_arn: Annotated[
        str,
        Field(
            description="ARN of the IAM identity provider for the cluster's service account tokens.",
            pattern=OIDC_PROVIDER_PATTERN,
        ),
    ]
    oidc_issuer: Annotated[
        str,
        Field(
            description="Issuer URL of the cluster's service account tokens, without a final slash.",
            pattern=OIDC_ISSUER_PATTERN,
        ),
    ]
    node_security_group_id: Annotated[
        str,
        Field(
            description="Security group of the nodes. The instance adds a rule that admits the load balancer to "
            "loadBalancer.nodePort, or to the gateway's port 8080 with `loadBalancer.targets: pods`.",
            pattern=SECURITY_GROUP_PATTERN,
        ),
    ]
    enforces_network_policies: Annotated[
        bool | None,
        Field(
            description="Whether the cluster's network plugin enforces network policies. With `false`, any pod of the "
            "cluster can read and write the data of every tenant. Required on AWS, and as soon as a tenant has an "
            "Alertmanager."
        ),
    ] = None
    host_aliases: Annotated[
        list[HostAlias],
        Field(
            description="Host names that the back ends' pods resolve to other addresses than DNS has, such as those of "
            "interface endpoints of the VPC. A change restarts the pods. Default: none."
        ),
    ] = []

    @field_validator("host_aliases")
    @classmethod
    def _distinct(cls, aliases: list[HostAlias]) -> list[HostAlias]:
        without_duplicates([alias.ip for alias in aliases])  # Kubernetes accepts one entry an address
        return aliases

    @property
    def eks_name(self) -> str | None:
        """The name of the EKS cluster, None where neither `name` nor `context` tells it."""
        arn = re.fullmatch(EKS_CONTEXT, self.context or "")
        return self.name or (arn[1] if arn else None)


class StackConfig(Section):
    """Everything under `opstrace:` in the stack file of an instance."""

    name: Annotated[
        Name | None,
        Field(
            description="Name of the instance, as `create` writes it. It must be the stack's name: after `pulumi stack "
            "rename`, an update would replace the zone, buckets, roles and secrets, so it is refused."
        ),
    ] = None
    domain: Annotated[
        str,
        Field(
            description="DNS name below which the instance gets a hosted zone of its own: `example.com` gives "
            "`<instance>.example.com`. A change replaces every host name and certificate.",
            json_schema_extra={"pattern": DOMAIN_PATTERN},  # for editors; the validator's error is more precise
        ),
    ]
    tenants: Annotated[
        list[TenantConfig],
        Field(description="The tenants, at least one. The instance's own tenant `system` is not listed.", min_length=1),
    ]
    tenant_defaults: Annotated[
        TenantSettings,
        Field(description="Defaults for the settings of every tenant, `system` included."),
    ] = TenantSettings()
    system_tenant: Annotated[
        TenantSettings,
        Field(
            description="Settings of the tenant `system`. Settings that are not set have `tenantDefaults`, then limits of series, "
            "rates and streams that bound the cost of the cluster's own logs and metrics."
        ),
    ] = TenantSettings()
    data_api: Annotated[
        DataApiConfig,
        Field(description="Who may reach the tenants' APIs, with which keys, and how much they may send."),
    ]
    cluster: Annotated[ClusterConfig, Field(description="The Kubernetes cluster that the instance runs in.")]
    load_balancer: Annotated[
        LoadBalancerConfig, Field(description="The network load balancer in front of the gateway.")
    ]
    aws: Annotated[AwsConfig, Field(description="The AWS account that the instance uses.")]
    images: Annotated[
        ImagesConfig, Field(description="Registries, digests and pull secrets of the container images.")
    ] = ImagesConfig()
    pods: Annotated[PodsConfig, Field(description="Scheduling, priority and service accounts of the pods.")] = (
        PodsConfig()
    )
    collectors: Annotated[
        CollectorsConfig, Field(description="What is collected from the cluster for the tenant `system`.")
    ] = CollectorsConfig()
    tags: Annotated[
        dict[str, str],
        Field(
            description="Tags of all resources in AWS, beside those that begin with `opstrace:`. Keys have 1 to 128 "
            "characters, values at most 256: letters, digits, spaces and _.:/=+-@. Default: none."
        ),
    ] = {}

    @field_validator("domain")
    @classmethod
    def _dns_name(cls, domain: str) -> str:
        if not re.fullmatch(DOMAIN_PATTERN, domain):
            raise ValueError(f"{domain!r} is not a DNS name such as example.com, in lower case and without a final dot")
        return domain

    @field_validator("tenants")
    @classmethod
    def _distinct(cls, tenants: list[TenantConfig]) -> list[TenantConfig]:
        without_duplicates([tenant.name for tenant in tenants])
        return tenants

    _tags = field_validator("tags")(checked_tags)

    @property
    def platform(self) -> PlatformSettings:
        """What the platform wants of all pods."""
        return PlatformSettings(images=self.images, pods=self.pods)

    def settings_of(self, tenant: str) -> TenantSettings:
        """Return the settings of `tenant` with the defaults in them; `system` has defaults of its own behind the common ones.

        Raises:
            ConfigError: a setting does not fit one of the defaults.
        """
        if tenant == SYSTEM:
            return self.system_tenant.with_defaults(self.tenant_defaults.with_defaults(SYSTEM_DEFAULTS))
        own = next((entry for entry in self.tenants if entry.name == tenant), None)
        return own.with_defaults(self.tenant_defaults) if own else self.tenant_defaults


def is_on_aws(account: AwsConfig) -> bool:
    """Tell whether an instance is on AWS: the embedded cloud has an IAM and an STS of its own."""
    hosts = [endpoint_host(account.endpoints.get(service, "")) for service in ("iam", "sts")]
    return not all(host and not host.endswith(AWS_HOSTS) for host in hosts)


def context_problem(account: AwsConfig, cluster: ClusterConfig) -> str | None:
    """Return why the context of the kubeconfig is missing, None if it is set or not needed. It is needed on AWS."""
    if cluster.context is not None or not is_on_aws(account):
        return None
    return (
        f"{PREFIX}cluster.context: is required on AWS, but not set; set it to the context of the cluster, which `kubectl config "
        "current-context` prints; without it, an update would change whichever cluster the kubeconfig names at that time"
    )


def policies_problem(config: StackConfig) -> str | None:
    """Return why the cluster's setting about network policies is missing, None if it is set or not needed.

    It is needed on AWS. The embedded cloud knows nothing of a cluster that the user brings.
    """
    if config.cluster.enforces_network_policies is not None or not is_on_aws(config.aws):
        return None
    return (
        f"{PREFIX}cluster.enforcesNetworkPolicies: is required on AWS, but not set: where network policies are not "
        "enforced, any pod of the cluster can read and write the data of every tenant. Set it to true if the network plugin "
        "enforces them, such as the VPC CNI with enableNetworkPolicy (off by default); set it to false to accept that"
    )


def alertmanager_problem(tenant: str, settings: TenantSettings, cluster: ClusterConfig) -> str | None:
    """Return why `tenant` cannot have an Alertmanager in this cluster, None if it can or has none."""
    if not settings.alertmanager.enabled or cluster.enforces_network_policies is not None:
        return None
    return (
        f"the tenant {tenant} has alertmanager.enabled, but opstrace:cluster.enforcesNetworkPolicies is not set: without "
        "network policies, everyone who writes the Alertmanager's configuration reaches every pod. Set it to true or false, "
        "as the cluster's network plugin does"
    )


def cluster_name_problem(config: StackConfig) -> str | None:
    """Return why the name of the EKS cluster must be set, None if it is or nothing needs it."""
    balancer = config.load_balancer
    if config.cluster.eks_name or not (balancer.node_groups or balancer.is_bound_by_auto_mode):
        return None
    cause = "loadBalancer.nodeGroups are looked up" if balancer.node_groups else "EKS Auto Mode registers targets"
    return (
        f"{PREFIX}cluster.name: is required, because {cause} by it, and the context {config.cluster.context or ''!r} is not the ARN of "
        "an EKS cluster; set it to the name that `aws eks list-clusters` prints"
    )


class TenantStackSettings(Section):
    """Everything under `opstrace:` in the stack file of one tenant, `<instance>.<tenant>`."""

    tenant_of: Annotated[
        str, Field(description="Name of the instance, which is the name of its stack and the part before the dot.")
    ]
    name: Annotated[
        Name | None,
        Field(
            description="Name of the tenant, as the commands write it. It must be the part of the stack's name after the dot."
        ),
    ] = None
    tenant: Annotated[
        TenantSettings,
        Field(
            description="The tenant's settings. Settings that are not set have the instance's `opstrace:tenantDefaults`."
        ),
    ] = TenantSettings()


def stack_name(instance: str, tenant: str) -> str:
    """Return the name of the stack of a tenant that has one of its own."""
    return f"{instance}.{tenant}"
