"""What a stack exports."""

from collections.abc import Mapping
from typing import Any

import pulumi

from components.instance import Instance
from components.names import APIS, api_url
from components.tenant import Tenant
from components.tenant_base import TenantBase


def tenant_outputs(tenants: Mapping[str, Tenant], base: TenantBase) -> dict[str, Any]:
    """Return each tenant's URLs, namespace and buckets, by its name."""
    return {
        name: {
            **{api: api_url(api, name, base.domain, base.port) for api in APIS},
            "namespace": tenant.namespace,
            "buckets": dict(tenant.buckets),
        }
        for name, tenant in tenants.items()
    }


def export_tenants(tenants: Mapping[str, Tenant], base: TenantBase) -> None:
    """Export the tenants of a stack, of an instance or of a tenant alone."""
    pulumi.export("instance", base.instance)
    pulumi.export("tenants", tenant_outputs(tenants, base))


def export_instance(instance: Instance) -> None:
    """Export the instance's facts; none of them is secret. `tenantBase` is for tenants with stacks of their own."""
    pulumi.export("domain", instance.domain)
    pulumi.export("nameServers", instance.name_servers)
    pulumi.export("trustedKeyIds", instance.trusted_key_ids)
    pulumi.export("tenantBase", instance.base.exported())
