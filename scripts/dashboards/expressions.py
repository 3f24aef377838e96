"""Parts of expressions that several dashboards have.

Every expression has a value also where nothing has happened yet: `OR_ZERO` is 0 in place of a sum without series, which begin
with the first error, `of_each_tenant` has a 0 for each tenant.
"""

from components.collectors.rules.selectors import of_back_end, series
from components.core.names import GATEWAY_NAMESPACE

OR_ZERO = "or on () vector(0)"
RATE = "[$__rate_interval]"
TENANT_NAMESPACES = 'namespace=~".+-tenant"'
BLOCKS = of_back_end("cortex_ingester_tsdb_storage_blocks_bytes")
BLOCK_HOURS = 6
CHUNKS = of_back_end("loki_ingester_chunk_stored_bytes_total")
SCRAPED_CORTEX = of_back_end("cortex_build_info")
NAMED = 'container!=""'  # without the sums of pods
_ENVOY = f'{{k8s_namespace_name="{GATEWAY_NAMESPACE}",k8s_container_name="envoy"}}'
ACCESS_LOG = f"{_ENVOY} | json"


def access_log_of(tenant: str) -> str:
    """Return the access log of one tenant. Most lines of others are left out before their JSON is parsed, which is slow.

    Each line of the tenant has its name in quotes: it has no character that JSON escapes.
    """
    return f'{_ENVOY} |= `"{tenant}"` | json | tenant="{tenant}"'


def of_each_tenant(expression: str) -> str:
    """Return an expression by tenant, with 0 for tenants without a series of it."""
    return f"{expression} or on (tenant) sum by (tenant) (0 * {SCRAPED_CORTEX})"


def rate_by_tenant(counter: str) -> str:
    """Return the rate of a counter of back ends by tenant. Its name begins with that of the job."""
    return f"sum by (tenant) (rate({of_back_end(counter)}{RATE}))"


def by_tenant(expression: str) -> str:
    """Return the sum by tenant of series that have the tenant's namespace."""
    return f'sum by (tenant) (label_replace({expression}, "tenant", "$1", "namespace", "(.+)-tenant"))'


def metrics_stored(window: str) -> str:
    """Return the estimate of the bytes of blocks that were written to each tenant's bucket within a window.

    On its volume, Cortex keeps the blocks of the last six hours. So each hour, a sixth of them is written.
    """
    return of_each_tenant(f"max by (tenant) (sum_over_time({BLOCKS}[{window}:1h])) / {BLOCK_HOURS}")


def logs_stored(window: str) -> str:
    """Return the bytes of chunks that were written to each tenant's bucket within a window."""
    return of_each_tenant(f"sum by (tenant) (increase({CHUNKS}[{window}]))")


def cpu(*matchers: str) -> str:
    """Return the cores that containers use."""
    return f"rate({series('cadvisor', 'container_cpu_usage_seconds_total', *matchers, NAMED)}{RATE})"


def memory(*matchers: str) -> str:
    """Return the working sets of containers."""
    return series("cadvisor", "container_memory_working_set_bytes", *matchers, NAMED)


def share(part: str, whole: str) -> str:
    """Return the share of a part that may have no series in a whole that may be 0."""
    return f"(({part}) {OR_ZERO}) / clamp_min(({whole}), 1e-9)"


SERIES_BY_TENANT = of_each_tenant(f"max by (tenant) ({of_back_end('cortex_ingester_memory_series')})")
SAMPLES_BY_TENANT = of_each_tenant(rate_by_tenant("cortex_distributor_received_samples_total"))
LINES_BY_TENANT = of_each_tenant(rate_by_tenant("loki_distributor_lines_received_total"))
