"""The configuration files of the collectors."""

from typing import Any

from components.collectors import log_files, scrape
from components.collectors.export import LOGS, METRICS, exporter, extensions, service
from components.collectors.settings import CLUSTER, NODE, CollectorsArgs

SERIES, OBJECTS, NAMED = "transform/series", "transform/objects", "transform/names"
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
LONGEST_HELP = 1024  # characters
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
        processors |= {"k8s_attributes": log_files.pod_attributes(), NAMED: log_files.names()}
        exporters[LOGS] = exporter("loki", args.queues)
        pipelines["logs"] = {"receivers": ["file_log"], "processors": ["k8s_attributes", NAMED], "exporters": [LOGS]}
    if args.metrics:
        jobs = [
            *(part(excluded) for part in (scrape.kubelet, scrape.cadvisor, scrape.pods)),
            *(scrape.back_end(program, args.instance, excluded) for program in scrape.BACK_ENDS),
            scrape.own_metrics(NODE),
        ]
        receivers["prometheus"] = {"config": {"scrape_configs": jobs}}
        processors[SERIES] = as_scraped()
        exporters[METRICS] = exporter("cortex", args.queues)
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
        "exporters": {METRICS: exporter("cortex", args.queues)},
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
    statements = [
        # A target chooses its help texts. One that is longer than a batch would cost other targets theirs (see scrape.py).
        f"set(metric.description, Substring(metric.description, 0, {LONGEST_HELP})) "
        f"where Len(metric.description) > {LONGEST_HELP}",
        # The receiver cuts this suffix off (Collector 0.149).
        'set(metric.name, Concat([metric.name, "_info"], "")) '
        'where metric.metadata["prometheus.type"] == "info" and not IsMatch(metric.name, "_info$$")',
        # Of other names of counters, Cortex would move `total` to the end, or add it (Cortex 1.21, otlptranslator).
        "convert_sum_to_gauge() where metric.type == METRIC_DATA_TYPE_SUM "
        'and (not IsMatch(metric.name, "_total$$") or IsMatch(metric.name, "(^|_)total_"))',
    ]
    # Without a sum, Cortex would end the buckets and the count of a histogram that is gone, but not its sum.
    gone = "metric.type == METRIC_DATA_TYPE_HISTOGRAM and datapoint.flags == 1"
    return {
        "metric_statements": [
            {"context": "metric", "statements": statements},
            {"context": "datapoint", "statements": [f"set(datapoint.sum, 0.0) where {gone}"]},
            _keep("service.name", "service.instance.id"),
        ]
    }


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
