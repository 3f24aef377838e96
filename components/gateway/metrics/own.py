"""The gateway's own metrics: each pod's Envoy pushes them to the system tenant by OTLP over HTTP.

The pods push their metrics, so their admin port stays closed. Cortex makes the label `job` of the resource attribute
`service.name`, and the label `instance` of `service.instance.id`. Sources:

- Envoy 1.40, `open_telemetry.v3.SinkConfig`.
- Cortex 1.21, 'HTTP API', 'OTLP receiver'.
- OpenTelemetry specification, 'Prometheus compatibility'.
"""

from typing import Any

from components.core.names import SYSTEM, namespace
from components.gateway.filter_chain import RESOLVER

CLUSTER = "system-metrics"
HOST = f"cortex.{namespace(SYSTEM)}.svc.cluster.local"
PORT = 80
PATH = "/api/v1/otlp/v1/metrics"
FLUSH_SECONDS = 15
PREFIX = "envoy"
POD_VARIABLE = "POD_NAME"
ATTRIBUTES_VARIABLE = "OTEL_RESOURCE_ATTRIBUTES"


def environment() -> list[dict[str, Any]]:
    """Return the environment of a pod's container, from which Envoy takes the resource attributes of its metrics."""
    attributes = f"service.name=gateway,service.instance.id=$({POD_VARIABLE})"
    return [
        {"name": POD_VARIABLE, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": ATTRIBUTES_VARIABLE, "value": attributes},
    ]


def sinks() -> list[dict[str, Any]]:
    """Return the bootstrap's `stats_sinks`."""
    detector = {
        "name": "environment",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.tracers.opentelemetry.resource_detectors.v3"
            ".EnvironmentResourceDetectorConfig"
        },
    }
    config = {
        "@type": "type.googleapis.com/envoy.extensions.stat_sinks.open_telemetry.v3.SinkConfig",
        "http_service": {
            "http_uri": {"uri": f"http://{HOST}{PATH}", "cluster": CLUSTER, "timeout": "5s"},
            "request_headers_to_add": [{"header": {"key": "X-Scope-OrgID", "value": SYSTEM}}],
        },
        "resource_detectors": [detector],
        "prefix": PREFIX,
    }
    return [{"name": "system-tenant", "typed_config": config}]


def cluster() -> dict[str, Any]:
    """Return the cluster to which the sink sends. Metrics are lost until the system tenant runs."""
    address = {"socket_address": {"address": HOST, "port_value": PORT}}
    return {
        "name": CLUSTER,
        "type": "STRICT_DNS",
        "wait_for_warm_on_init": False,  # a slow name server must not delay the start
        "dns_lookup_family": "V4_ONLY",
        "typed_dns_resolver_config": RESOLVER,
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
