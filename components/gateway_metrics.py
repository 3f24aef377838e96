"""The gateway's own metrics: each pod's Envoy pushes them into the system tenant, by OTLP over HTTP.

Nothing has to come to the pods for it, so their admin port stays shut. Sources: Envoy 1.40, `open_telemetry.v3.SinkConfig`;
Cortex 1.21, 'HTTP API', 'OTLP receiver', and the OpenTelemetry specification, 'Prometheus compatibility': of the resource's
attributes, `service.name` becomes the label `job` and `service.instance.id` the label `instance`.
"""

from typing import Any

from components.names import SYSTEM, namespace

CLUSTER = "system-metrics"
HOST = f"cortex.{namespace(SYSTEM)}.svc.cluster.local"
PORT = 80
PATH = "/api/v1/otlp/v1/metrics"
FLUSH_SECONDS = 15
PREFIX = "envoy"
POD_VARIABLE = "POD_NAME"
ATTRIBUTES_VARIABLE = "OTEL_RESOURCE_ATTRIBUTES"


def environment() -> list[dict[str, Any]]:
    """Return the variables of a pod's container from which Envoy takes whose metrics they are."""
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
    """Return the cluster that the sink sends to. Until the system tenant is there, what is sent is lost."""
    address = {"socket_address": {"address": HOST, "port_value": PORT}}
    return {
        "name": CLUSTER,
        "type": "STRICT_DNS",
        "wait_for_warm_on_init": False,  # no request waits for a name server that is slow
        "dns_lookup_family": "V4_ONLY",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
