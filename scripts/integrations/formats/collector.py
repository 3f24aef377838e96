"""Configurations of the OpenTelemetry Collector: of its own, and as values of its Helm chart."""

from collections.abc import Mapping, Sequence
from typing import Any

from scripts.integrations.formats.text import job_scrapes, yaml_text
from scripts.integrations.integration import KINDS, LABEL, Destination, Integration, Kind

NAMESPACE = "k8s.namespace.name"  # a resource attribute, by OpenTelemetry's semantic conventions
TOKENS, QUEUE = "/etc/opstrace", "/var/lib/otelcol"  # folders in the chart's pods
FILES, SCRAPES, OTLP = "file_log", "prometheus", "otlp"
TO_LABEL, TO_METADATA, TO_SERVICE = f"transform/{LABEL}", f"resource/{LABEL}", "resource/service"


def otel(integration: Integration) -> str:
    """Return a configuration of the Collector that takes OTLP, scrapes targets and follows log files."""
    receivers = {
        OTLP: {"protocols": {"grpc": {"endpoint": "127.0.0.1:4317"}, "http": {"endpoint": "127.0.0.1:4318"}}},
        SCRAPES: {
            "config": {
                "global": {"scrape_interval": "15s"},
                "scrape_configs": job_scrapes(integration, ["127.0.0.1:8888"]),
            }
        },
        FILES: {"include": [*integration.log_files], "storage": "file_storage"},
    }
    return yaml_text(_config(integration, receivers, f"{integration.folder}/queue"))


def helm(integration: Integration) -> str:
    """Return values of the chart: a DaemonSet that takes OTLP of pods, and follows the logs of the node's pods."""
    receivers = {
        OTLP: {
            "protocols": {
                "grpc": {"endpoint": "${env:MY_POD_IP}:4317"},
                "http": {"endpoint": "${env:MY_POD_IP}:4318"},
            }
        }
    }
    config = _config(integration, receivers, f"{QUEUE}/queue")
    # The chart's probes of the pod ask this extension.
    config["extensions"] = {"health_check": {"endpoint": "${env:MY_POD_IP}:13133"}, **config["extensions"]}
    config["service"]["extensions"] = [*config["extensions"]]
    volumes = [
        {"name": "opstrace", "secret": {"secretName": integration.secret}},
        {"name": "queue", "emptyDir": {}},
    ]
    mounts = [
        # Without subPath, the kubelet replaces the files in the pod when the Secret changes.
        {"name": "opstrace", "mountPath": TOKENS, "readOnly": True},
        {"name": "queue", "mountPath": QUEUE},
    ]
    return yaml_text(
        {
            "mode": "daemonset",
            "image": {"repository": "otel/opentelemetry-collector-contrib"},
            "presets": {"logsCollection": {"enabled": True}, "kubernetesAttributes": {"enabled": True}},
            "alternateConfig": config,
            "ports": {
                name: {"enabled": False} for name in ("jaeger-compact", "jaeger-thrift", "jaeger-grpc", "zipkin")
            },
            "podSecurityContext": {"fsGroup": 10001},  # the group of the image's user, for the queue's volume
            "extraVolumes": volumes,
            "extraVolumeMounts": mounts,
        }
    )


def _config(integration: Integration, receivers: Mapping[str, Any], queue: str) -> dict[str, Any]:
    tokens = {f"bearertokenauth/{one.tenant}": {"filename": one.token_path} for one in integration.destinations}
    exporters = {
        f"otlp_http/{kind}-{one.tenant}": _exporter(integration, kind, one)
        for one in integration.destinations
        for kind in KINDS
    }
    extensions = {**tokens, "file_storage": {"directory": queue, "create_directory": True}}
    return {
        "extensions": extensions,
        "receivers": receivers,
        "processors": {
            **({TO_SERVICE: _service("files")} if FILES in receivers else {}),
            TO_METADATA: {"attributes": [{"key": LABEL, "value": integration.id, "action": "upsert"}]},
            TO_LABEL: {
                "metric_statements": [
                    {"context": "datapoint", "statements": [f'set(attributes["{LABEL}"], "{integration.id}")']}
                ]
            },
        },
        **({"connectors": _connectors(integration)} if integration.namespaces else {}),
        "exporters": exporters,
        "service": {"extensions": [*extensions], "pipelines": _pipelines(integration, [*receivers])},
    }


def _service(name: str) -> dict[str, Any]:
    """Return a processor that names the service of lines that name none."""
    return {"attributes": [{"key": "service.name", "value": name, "action": "insert"}]}


def _exporter(integration: Integration, kind: Kind, to: Destination) -> dict[str, Any]:
    endpoint = f"{to.metrics_url}/api/v1/otlp" if kind == "metrics" else f"{to.logs_url}/otlp"
    queue: dict[str, Any] = {"storage": "file_storage", "block_on_overflow": True}
    return {
        "endpoint": endpoint,
        "auth": {"authenticator": f"bearertokenauth/{to.tenant}"},
        **({"tls": {"ca_file": integration.ca_path}} if integration.ca_path else {}),
        **({"proxy_url": integration.proxy} if integration.proxy else {}),
        "retry_on_failure": {"max_elapsed_time": 0},  # without end
        # One consumer keeps the samples of a series in order.
        "sending_queue": queue | ({"num_consumers": 1} if kind == "metrics" else {}),
    }


def _connectors(integration: Integration) -> dict[str, Any]:
    """Return a connector for each kind of data that routes namespaces to the pipelines of tenants."""

    def table(kind: Kind) -> list[dict[str, Any]]:
        return [
            {
                "context": "resource",
                "condition": f'attributes["{NAMESPACE}"] == "{namespace}"',
                "pipelines": [f"{kind}/{tenant}"],
            }
            for namespace, tenant in integration.namespaces.items()
        ]

    return {
        f"routing/{kind}": {"default_pipelines": [f"{kind}/{integration.main.tenant}"], "table": table(kind)}
        for kind in KINDS
    }


def _pipelines(integration: Integration, receivers: Sequence[str]) -> dict[str, Any]:
    receivers_of: dict[Kind, list[str]] = {
        "metrics": [name for name in receivers if name != FILES],
        "logs": [name for name in receivers if name != SCRAPES],
    }
    of_files = [TO_SERVICE] if FILES in receivers else []
    processors_of: dict[Kind, list[str]] = {"metrics": [TO_LABEL], "logs": [*of_files, TO_METADATA]}
    pipelines: dict[str, Any] = {}
    for kind in KINDS:
        # The chart's presets add their receivers and processors to the pipelines of these names.
        to = f"routing/{kind}" if integration.namespaces else f"otlp_http/{kind}-{integration.main.tenant}"
        pipelines[kind] = {"receivers": receivers_of[kind], "processors": processors_of[kind], "exporters": [to]}
        for one in integration.destinations if integration.namespaces else ():
            pipelines[f"{kind}/{one.tenant}"] = {
                "receivers": [f"routing/{kind}"],
                "exporters": [f"otlp_http/{kind}-{one.tenant}"],
            }
    return pipelines
