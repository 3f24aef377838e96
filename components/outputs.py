"""What a stack exports."""

from collections.abc import Mapping
from typing import Any

import pulumi

from components.config import StackConfig
from components.instance import Instance
from components.names import APIS, api_url
from components.tenant import Tenant


def tenant_outputs(tenants: Mapping[str, Tenant], instance: Instance, config: StackConfig) -> dict[str, Any]:
    """Return each tenant's URLs, namespace and buckets, by its name."""
    return {
        name: {
            **{api: api_url(api, name, instance.domain, config.load_balancer.port) for api in APIS},
            "namespace": tenant.namespace,
            "buckets": dict(tenant.buckets),
        }
        for name, tenant in tenants.items()
    }


def export_all(name: str, tenants: Mapping[str, Tenant], instance: Instance, config: StackConfig) -> None:
    """Export the instance's facts; none of them is secret."""
    pulumi.export("instance", name)
    pulumi.export("domain", instance.domain)
    pulumi.export("nameServers", instance.name_servers)
    pulumi.export("tenants", tenant_outputs(tenants, instance, config))
    pulumi.export("trustedKeyIds", instance.trusted_key_ids)
