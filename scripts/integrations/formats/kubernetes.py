"""Collectors in Kubernetes: manifests of our own, and values of the OpenTelemetry Collector's Helm chart."""

from typing import Any
from urllib.parse import urlsplit

from ruamel.yaml.scalarstring import LiteralScalarString

from components.collectors import export, log_files, scrape
from components.collectors.configuration import NAMED, SERIES, as_scraped
from components.collectors.pod import (
    CONFIG_FILE,
    NAMESPACE_POD_SECURITY,
    ON_EVERY_NODE,
    ONE_BY_ONE,
    CollectorPod,
    workload_spec,
)
from components.collectors.rights import RULES
from components.collectors.settings import HOST_FOLDER, NODE, QUEUE_FOLDER
from components.config.platform.collectors import ResourcesOfCollectors
from components.core.images import COLLECTOR_IMAGE, PUBLIC
from components.core.tags import INSTANCE_LABEL, NAME_LABEL, PART_OF_LABEL
from scripts.integrations.formats.collector import FILES, SCRAPES, Source, Sources, configuration, otlp, storage
from scripts.integrations.formats.text import yaml_text
from scripts.integrations.integration import Integration

MANIFESTS, KUSTOMIZATION = "collector.yaml", "kustomization.yaml"
TOKENS = "/etc/opstrace-tokens"
TOKENS_VOLUME = "tokens"
OWNER_READS = 0o400
# Without subPath: the kubelet replaces the files in the pod when the Secret changes.
MOUNT = {"name": TOKENS_VOLUME, "mountPath": TOKENS, "readOnly": True}
RBAC = "rbac.authorization.k8s.io"


def manifests(integration: Integration) -> str:
    """Return manifests of a DaemonSet that sends the logs and metrics of each node, as an instance's own collectors do."""
    config = yaml_text(_node_configuration(integration))
    selected = {NAME_LABEL: NODE, INSTANCE_LABEL: integration.namespace}
    marks = {**selected, PART_OF_LABEL: "opstrace"}
    metadata = {"name": NODE, "namespace": integration.namespace, "labels": marks}
    in_cluster = {"name": f"{integration.namespace}-{NODE}", "labels": marks}
    objects = [
        _object("v1", "Namespace", {"name": integration.namespace, "labels": {**marks, **NAMESPACE_POD_SECURITY}}),
        _object("v1", "ServiceAccount", metadata, automountServiceAccountToken=False),
        _object(f"{RBAC}/v1", "ClusterRole", in_cluster, rules=RULES[NODE]),
        _object(
            f"{RBAC}/v1",
            "ClusterRoleBinding",
            in_cluster,
            roleRef={"apiGroup": RBAC, "kind": "ClusterRole", "name": in_cluster["name"]},
            subjects=[{"kind": "ServiceAccount", "name": NODE, "namespace": integration.namespace}],
        ),
        _object("v1", "ConfigMap", metadata, data={CONFIG_FILE: LiteralScalarString(config)}),
        _object(
            "apps/v1",
            "DaemonSet",
            metadata,
            spec={**workload_spec(selected, marks, config, _pod(integration)), "updateStrategy": ONE_BY_ONE},
        ),
    ]
    return "---\n".join(yaml_text(one) for one in objects)


def kustomization(_: Integration) -> str:
    """Return the file by which `kubectl apply -k` finds the manifests."""
    kind = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    return yaml_text({**kind, "resources": [MANIFESTS]})


def _object(version: str, kind: str, metadata: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **parts}


def _node_configuration(integration: Integration) -> dict[str, Any]:
    jobs = [scrape.kubelet(()), scrape.cadvisor(()), scrape.pods((), names_workloads=False), scrape.own_metrics(NODE)]
    sources: Sources = {
        # One scrape of the kubelet has the series of all namespaces, each with its namespace as a label.
        "metrics": Source(
            {SCRAPES: {"config": {"scrape_configs": jobs}}}, {SERIES: as_scraped()}, ("datapoint", "namespace")
        ),
        "logs": Source(
            {FILES: log_files.receiver(())},
            {"k8s_attributes": log_files.pod_attributes(), NAMED: log_files.names()},
        ),
    }
    config = configuration(integration, sources, export.extensions())
    config["service"]["telemetry"] = export.telemetry()
    return config


def _pod(integration: Integration) -> dict[str, Any]:
    host = urlsplit(integration.main.metrics_url).hostname or ""
    pod = CollectorPod(
        program=NODE,
        image=PUBLIC.pinned(COLLECTOR_IMAGE, host),
        resources=ResourcesOfCollectors().of_each_pod,
        # Two collectors cannot share a queue. The namespace is in the cluster once.
        host_folder=f"{HOST_FOLDER}/{integration.namespace}/{NODE}",
        reads_logs=True,
    ).spec()
    pod["volumes"].append(_volume(integration))
    pod["containers"][0]["volumeMounts"].append(MOUNT)
    return {**pod, "tolerations": ON_EVERY_NODE}


def _volume(integration: Integration) -> dict[str, Any]:
    """Return the volume of the token files. Where a file is missing in the Secret, the kubelet says which."""
    paths = [*(one.token_path for one in integration.destinations), integration.ca_path]
    names = [path.removeprefix(f"{TOKENS}/") for path in paths if path]
    secret = {
        "secretName": integration.secret,
        "defaultMode": OWNER_READS,
        "items": [{"key": name, "path": name} for name in names],
    }
    return {"name": TOKENS_VOLUME, "secret": secret}


def helm(integration: Integration) -> str:
    """Return values of the chart: a DaemonSet that takes OTLP of pods, and follows the logs of the node's pods."""
    received = otlp("${env:MY_POD_IP}")
    # The chart's probes of the pod ask the first extension. The second one is on the node, by `storeCheckpoints`.
    extensions = {
        export.HEALTH: {"endpoint": "${env:MY_POD_IP}:13133"},
        **storage(f"{QUEUE_FOLDER}/{integration.id}"),
    }
    sources: Sources = {"metrics": Source(received), "logs": Source(received)}
    return yaml_text(
        {
            "mode": "daemonset",
            "image": {"repository": "otel/opentelemetry-collector-contrib"},
            "presets": {
                "logsCollection": {"enabled": True, "storeCheckpoints": True},
                "kubernetesAttributes": {"enabled": True},
            },
            "alternateConfig": configuration(integration, sources, extensions),
            "ports": {
                name: {"enabled": False} for name in ("jaeger-compact", "jaeger-thrift", "jaeger-grpc", "zipkin")
            },
            "extraVolumes": [_volume(integration)],
            "extraVolumeMounts": [MOUNT],
        }
    )
