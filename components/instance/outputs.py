"""The outputs of a stack."""

from collections.abc import Mapping
from typing import Any

import pulumi

from components.core.names import APIS, api_url
from components.instance.instance import Instance
from components.tenant.base import TenantBase
from components.tenant.tenant import Tenant


def tenant_outputs(tenants: Mapping[str, Tenant], base: TenantBase) -> dict[str, Any]:
    """Return the URLs, the namespace and the buckets of each tenant, by name."""
    return {
        name: {
            **{api: api_url(api, name, base.domain, base.port) for api in APIS},
            "namespace": tenant.namespace,
            "buckets": dict(tenant.buckets),
        }
        for name, tenant in tenants.items()
    }


def export_tenants(tenants: Mapping[str, Tenant], base: TenantBase) -> None:
    """Export the tenants of a stack: of an instance, or of one tenant."""
    pulumi.export("instance", base.instance)
    pulumi.export("tenants", tenant_outputs(tenants, base))


def export_instance(instance: Instance) -> None:
    """Export the instance's facts. None is secret. Tenants with stacks of their own read `tenantBase`."""
    pulumi.export("domain", instance.domain)
    pulumi.export("nameServers", instance.name_servers)
    pulumi.export("trustedKeyIds", instance.trusted_key_ids)
    pulumi.export("tenantBase", instance.base.exported())
