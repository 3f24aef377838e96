"""The configuration of the OpenTelemetry Collector, from what it reads: of its own, and for the formats of Kubernetes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from components.collectors import export
from components.collectors.settings import CollectorQueues
from scripts.clients.back_ends import API_OF_KIND
from scripts.integrations.formats.text import job_scrapes, yaml_text
from scripts.integrations.integration import KINDS, LABEL, Destination, Integration, Kind

NAMESPACE = "k8s.namespace.name"  # a resource attribute, by OpenTelemetry's semantic conventions
FILES, SCRAPES, OTLP = "file_log", "prometheus", "otlp"
TO_LABEL, TO_METADATA, TO_SERVICE = f"transform/{LABEL}", f"resource/{LABEL}", "resource/service"


@dataclass(frozen=True)
class Source:
    """What a collector reads of one kind of data.

    Attributes:
        receivers: The receivers by name.
        processors: The processors that this data needs, by name and in order.
        namespace: The attribute with the Kubernetes namespace, and its context in OpenTelemetry's transformation language.
    """

    receivers: Mapping[str, Any]
    processors: Mapping[str, Any] = field(default_factory=dict)
    namespace: tuple[str, str] = ("resource", NAMESPACE)


Sources = Mapping[Kind, Source]


def otel(integration: Integration) -> str:
    """Return a configuration of the Collector that takes OTLP, scrapes targets and follows log files."""
    by_otlp = otlp("127.0.0.1")
    scrapes = {
        "config": {
            "global": {"scrape_interval": "15s"},
            "scrape_configs": job_scrapes(integration, ["127.0.0.1:8888"]),
        }
    }
    # As the other programs do: what was written before the first start arrives too.
    files = {
        "include": [*integration.log_files],
        "start_at": "beginning",
        "storage": export.STORAGE,
        "retry_on_failure": export.READER_RETRIES,
    }
    # Lines that name no service get one.
    named = {"attributes": [{"key": "service.name", "value": "files", "action": "insert"}]}
    sources: Sources = {
        "metrics": Source(by_otlp | {SCRAPES: scrapes}),
        "logs": Source(by_otlp | {FILES: files}, {TO_SERVICE: named}),
    }
    return yaml_text(configuration(integration, sources, storage(f"{integration.folder}/queue")))


def otlp(address: str) -> dict[str, Any]:
    """Return a receiver of OTLP at the usual ports."""
    return {OTLP: {"protocols": {"grpc": {"endpoint": f"{address}:4317"}, "http": {"endpoint": f"{address}:4318"}}}}


def storage(folder: str) -> dict[str, Any]:
    """Return the extension that keeps the queue and the positions in log files in a folder."""
    return {export.STORAGE: {"directory": folder, "create_directory": True, "compaction": export.compaction(folder)}}


def configuration(integration: Integration, sources: Sources, extensions: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration that sends what `sources` read to the tenants of the integration.

    `extensions` are those beside the tokens; one of them is the storage.
    """
    tokens = {f"bearertokenauth/{one.tenant}": {"filename": one.token_path} for one in integration.destinations}
    exporters = {
        f"otlp_http/{kind}-{one.tenant}": _exporter(integration, kind, one)
        for one in integration.destinations
        for kind in KINDS
    }
    used = {**extensions, **tokens}
    return {
        "extensions": used,
        "receivers": {name: part for source in sources.values() for name, part in source.receivers.items()},
        "processors": {
            **{name: part for source in sources.values() for name, part in source.processors.items()},
            **_marks(integration),
        },
        **({"connectors": _connectors(integration, sources)} if integration.namespaces else {}),
        "exporters": exporters,
        "service": {"extensions": [*used], "pipelines": _pipelines(integration, sources)},
    }


def _marks(integration: Integration) -> dict[str, Any]:
    """Return the processors that add the integration ID: to lines as structured metadata, to series as a label."""
    statement = f'set(attributes["{LABEL}"], "{integration.id}")'
    return {
        TO_METADATA: {"attributes": [{"key": LABEL, "value": integration.id, "action": "upsert"}]},
        TO_LABEL: {"metric_statements": [{"context": "datapoint", "statements": [statement]}]},
    }


def _exporter(integration: Integration, kind: Kind, to: Destination) -> dict[str, Any]:
    api = API_OF_KIND[kind]
    endpoint = (to.metrics_url if kind == "metrics" else to.logs_url) + export.PATHS[api]
    return {
        "endpoint": endpoint,
        "auth": {"authenticator": f"bearertokenauth/{to.tenant}"},
        **({"tls": {"ca_file": integration.ca_path}} if integration.ca_path else {}),
        **({"proxy_url": integration.proxy} if integration.proxy else {}),
        "timeout": export.TIMEOUT,
        "retry_on_failure": export.RETRIES,
        "sending_queue": export.sending_queue(api, CollectorQueues()),
    }


def _connectors(integration: Integration, sources: Sources) -> dict[str, Any]:
    """Return a connector for each kind of data that routes namespaces to the pipelines of tenants."""

    def table(kind: Kind) -> list[dict[str, Any]]:
        context, attribute = sources[kind].namespace
        return [
            {
                "context": context,
                "condition": f'attributes["{attribute}"] == "{namespace}"',
                "pipelines": [f"{kind}/{tenant}"],
            }
            for namespace, tenant in integration.namespaces.items()
        ]

    return {
        f"routing/{kind}": {"default_pipelines": [f"{kind}/{integration.main.tenant}"], "table": table(kind)}
        for kind in KINDS
    }


def _pipelines(integration: Integration, sources: Sources) -> dict[str, Any]:
    marks: dict[Kind, str] = {"metrics": TO_LABEL, "logs": TO_METADATA}
    pipelines: dict[str, Any] = {}
    for kind, source in sources.items():
        # The chart's presets add their receivers and processors to the pipelines of these names.
        to = f"routing/{kind}" if integration.namespaces else f"otlp_http/{kind}-{integration.main.tenant}"
        pipelines[kind] = {
            "receivers": [*source.receivers],
            "processors": [*source.processors, marks[kind]],
            "exporters": [to],
        }
        for one in integration.destinations if integration.namespaces else ():
            pipelines[f"{kind}/{one.tenant}"] = {
                "receivers": [f"routing/{kind}"],
                "exporters": [f"otlp_http/{kind}-{one.tenant}"],
            }
    return pipelines
