"""Parts of expressions that several dashboards have.

Every expression has a value also where nothing has happened yet: `OR_ZERO` is 0 in place of a sum without series, which begin
with the first error, `of_each_tenant` has a 0 for each tenant.
"""

from components.core.names import GATEWAY_NAMESPACE

OR_ZERO = "or on () vector(0)"
RATE = "[$__rate_interval]"
TENANT_NAMESPACES = 'namespace=~".+-tenant"'
REQUESTS = 'job="gateway",envoy_http_conn_manager_prefix="gateway"'
"""The labels of the gateway's requests, without those of its other ports."""
ACCESS_LOG = f'{{k8s_namespace_name="{GATEWAY_NAMESPACE}",k8s_container_name="envoy"}} | json'


def of_each_tenant(expression: str) -> str:
    """Return an expression by tenant, with 0 for tenants without a series of it."""
    return f"{expression} or on (tenant) sum by (tenant) (0 * cortex_build_info)"


def share(part: str, whole: str) -> str:
    """Return the share of a part that may have no series in a whole that may be 0."""
    return f"(({part}) {OR_ZERO}) / clamp_min(({whole}), 1e-9)"
