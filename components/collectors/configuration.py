"""The configuration files of the collectors."""

from typing import Any

from components.collectors import log_files, scrape
from components.collectors.export import exporter, extensions, service
from components.collectors.settings import CLUSTER, NODE, CollectorsArgs

METRICS, LOGS = "otlp_http/metrics", "otlp_http/logs"
SERIES, OBJECTS, NAMED = "transform/series", "transform/objects", "transform/service"
# Labels of the series about Kubernetes objects, as cAdvisor's series have them, and the resource attributes they come from.
OBJECT_LABELS = {
    "namespace": "k8s.namespace.name",
    "pod": "k8s.pod.name",
    "container": "k8s.container.name",
    "node": "k8s.node.name",
    **{
        name: f"k8s.{name}.name"
        for name in ("deployment", "statefulset", "daemonset", "replicaset", "cronjob", "hpa", "resourcequota")
    },
    "job_name": "k8s.job.name",  # `job` is that of the scrape
}
OBJECTS_JOB = "kubernetes"
NODE_CONDITIONS = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"]


def node_configuration(args: CollectorsArgs) -> dict[str, Any]:
    """Return the configuration of the collector of each node: log files, kubelet, containers, pods with annotations."""
    receivers: dict[str, Any] = {}
    processors: dict[str, Any] = {}
    exporters: dict[str, Any] = {}
    pipelines: dict[str, Any] = {}
    excluded = args.excluded_namespaces
    if args.logs:
        receivers["file_log"] = log_files.receiver(excluded)
        processors |= {"k8s_attributes": log_files.pod_attributes(), NAMED: log_files.service_name()}
        exporters[LOGS] = exporter("loki")
        pipelines["logs"] = {"receivers": ["file_log"], "processors": ["k8s_attributes", NAMED], "exporters": [LOGS]}
    if args.metrics:
        jobs = [
            *(part(excluded) for part in (scrape.kubelet, scrape.cadvisor, scrape.pods)),
            *(scrape.back_end(program, args.instance, excluded) for program in scrape.BACK_ENDS),
            scrape.own_metrics(NODE),
        ]
        receivers["prometheus"] = {"config": {"scrape_configs": jobs}}
        processors[SERIES] = as_scraped()
        exporters[METRICS] = exporter("cortex")
        pipelines["metrics"] = {"receivers": ["prometheus"], "processors": [SERIES], "exporters": [METRICS]}
    return {
        "extensions": extensions(),
        "receivers": receivers,
        "processors": processors,
        "exporters": exporters,
        "service": service(pipelines),
    }


def cluster_configuration(args: CollectorsArgs) -> dict[str, Any]:
    """Return the configuration of the one collector of the cluster: objects, API servers, further targets."""
    jobs = [scrape.api_server(), scrape.own_metrics(CLUSTER), *map(scrape.extra, args.extra_scrape)]
    objects = {
        "auth_type": "serviceAccount",
        "collection_interval": f"{scrape.SLOW_SECONDS}s",
        "node_conditions_to_report": NODE_CONDITIONS,
        "allocatable_types_to_report": ["cpu", "memory"],
    }
    return {
        "extensions": extensions(),
        "receivers": {"prometheus": {"config": {"scrape_configs": jobs}}, "k8s_cluster": objects},
        "processors": {SERIES: as_scraped(), OBJECTS: _as_series()},
        "exporters": {METRICS: exporter("cortex")},
        "service": service(
            {
                "metrics": {"receivers": ["prometheus"], "processors": [SERIES], "exporters": [METRICS]},
                "metrics/objects": {"receivers": ["k8s_cluster"], "processors": [OBJECTS], "exporters": [METRICS]},
            }
        ),
    }


def _keep(*names: str) -> dict[str, Any]:
    """Return the statements that keep these resource attributes alone.

    From any other, Cortex would make the labels of a series `target_info` for each resource.
    """
    listed = ", ".join(f'"{name}"' for name in names)
    return {"context": "resource", "statements": [f"keep_keys(resource.attributes, [{listed}])"]}


def as_scraped() -> dict[str, Any]:
    """Return the processor that leaves the series as a Prometheus scrapes them, with `job` and `instance`."""
    return {"metric_statements": [_keep("service.name", "service.instance.id")]}


def _as_series() -> dict[str, Any]:
    """Return the processor that gives the series about objects labels: Cortex makes none of resource attributes."""
    labels = [
        f'set(datapoint.attributes["{label}"], resource.attributes["{attribute}"]) '
        f'where resource.attributes["{attribute}"] != nil'
        for label, attribute in OBJECT_LABELS.items()
    ]
    job = f'set(resource.attributes["service.name"], "{OBJECTS_JOB}")'
    return {
        "metric_statements": [
            {"context": "datapoint", "statements": labels},
            {"context": "resource", "statements": [job]},
            _keep("service.name"),
        ]
    }
