"""Scrape configurations, as Prometheus has them. In the Collector's files, `$$` stands for `$`."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from components.collectors import kept_metrics
from components.collectors.settings import (
    KUBELET_PORT,
    NODE_ADDRESS,
    NODE_NAME,
    OWN_METRICS_PORT,
    POD_NAME,
    SERVICE_ACCOUNT_FOLDER,
    TEMPLATE_HASH,
    ScrapeJob,
)
from components.core.names import ALERTMANAGER, APIS, GATEWAY_NAMESPACE, METRICS_SERVICE, TENANT_PATTERN
from components.core.tags import INSTANCE_LABEL, NAME_LABEL, PART_OF_LABEL

SECONDS = 15
SLOW_SECONDS = 30
BACK_ENDS = (*APIS, ALERTMANAGER)  # each is a job
JOBS = ("apiserver", "cadvisor", "collector", "kubelet", "pods", *BACK_ENDS)
TOKEN = {"credentials_file": f"{SERVICE_ACCOUNT_FOLDER}/token"}

# Of cAdvisor: series of no use to most (kube-prometheus drops the same), and those of cgroups that are no container's.
UNUSED_CONTAINER_METRICS = (
    "container_(network_(tcp|udp|tcp6|udp6|advance_tcp_stats).*|tasks_state|cpu_load.*|memory_failures_total|blkio_device_usage_total)",
    "container_(file_descriptors|sockets|threads.*|ulimits_soft|last_seen|start_time_seconds|spec_(cpu_shares|cpu_period)|hugetlb_.*)",
    "container_(memory_(failcnt|mapped_file|swap|max_usage_bytes|kernel_usage|total_.*)|fs_(io|sector|read_sec|write_sec).*|perf_.*)",
    "container_fs_(inodes_.*|reads_merged_total|writes_merged_total)",
)
# The receiver takes `job` and `instance` from a series of this name, so that a target could pass for another.
NO_TARGET_INFO = {"source_labels": ["__name__"], "regex": "target_info", "action": "drop"}
ANNOTATION = "__meta_kubernetes_pod_annotation_prometheus_io_"
MOST_SAMPLES = 20_000  # of one scrape of an annotated pod; a larger answer is refused as a whole
MOST_BYTES = "20MB"
MOST_SAMPLES_OF_BACK_END = 2_000  # that are kept; a back end has a few hundred
TENANT_NAMESPACE = f"({TENANT_PATTERN.strip('^$')})-tenant"
# Of the labels of a series: together they are smaller than a batch. Of a series that is larger, the exporter would drop all
# that is in the batch, also from other targets, and count nothing (Collector 0.149, queuebatch).
LABEL_LIMITS = {"label_limit": 30, "label_name_length_limit": 1024, "label_value_length_limit": 16_384}


def _variable(name: str) -> str:
    return f"${{env:{name}}}"


def _one_of(names: Iterable[str]) -> str:
    return "|".join(names)


def _keep(job: str) -> dict[str, Any]:
    names = kept_metrics.KEPT[job]
    return {"source_labels": ["__name__"], "regex": _one_of(names), "action": "keep"}


def _without(label: str, values: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rule that drops what has one of the values; none without values."""
    return [{"source_labels": [label], "regex": _one_of(values), "action": "drop"}] if values else []


def _label(target: str, *source: str) -> dict[str, Any]:
    return {"source_labels": list(source), "target_label": target}


def _meta(label: str) -> str:
    """Return a label of Kubernetes as the discovery of targets writes it."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", label)


POD_LABELS = (
    _label("namespace", "__meta_kubernetes_namespace"),
    _label("pod", "__meta_kubernetes_pod_name"),
    _label("node", "__meta_kubernetes_pod_node_name"),
)
# The names of the kubernetes mixin. Exporters such as kube-state-metrics have labels `deployment` and `statefulset` of their own.
WORKLOAD, WORKLOAD_TYPE = "workload", "workload_type"
MOST_LABELS = LABEL_LIMITS["label_limit"] + len((WORKLOAD, WORKLOAD_TYPE))
"""The labels of a series of an annotated pod, the metric's name among them. The system tenant must take as many."""
CONTROLLER = [f"__meta_kubernetes_pod_controller_{part}" for part in ("kind", "name")]


def _workload_labels() -> list[dict[str, Any]]:
    """Return the rules that name a pod's workload. The controller of a Deployment's pod is a ReplicaSet with a hash."""
    hashed = [*CONTROLLER, f"__meta_kubernetes_pod_label_{_meta(TEMPLATE_HASH)}"]
    found = {
        "statefulset": (CONTROLLER, "StatefulSet;(.+)"),
        "daemonset": (CONTROLLER, "DaemonSet;(.+)"),
        "job": (CONTROLLER, "Job;(.+)"),
        "deployment": (hashed, "ReplicaSet;(.+)-[^-;]+;.+"),
    }
    return [
        {"source_labels": source, "regex": regex, "target_label": label, "replacement": value}
        for kind, (source, regex) in found.items()
        for label, value in ((WORKLOAD, "$$1"), (WORKLOAD_TYPE, kind))
    ]


def _pods_of_node() -> list[dict[str, Any]]:
    """Return the discovery of the node's own pods. Jobs with the same one share its watch."""
    own_node = [{"role": "pod", "field": f"spec.nodeName={_variable(NODE_NAME)}"}]
    return [{"role": "pod", "selectors": own_node}]


def _job(name: str, seconds: int, **parts: Any) -> dict[str, Any]:
    """Return a job. It follows no redirect, by which a target could lead a collector to what collectors alone reach.

    One such address is that of the system tenant's Cortex, which a GET request can stop.
    """
    times = {"scrape_interval": f"{seconds}s", "scrape_timeout": f"{min(seconds, 10)}s"}
    return {"job_name": name, **times, "follow_redirects": False, **parts}


def _kubelet(job: str, path: str, excluded: Sequence[str], *rules: dict[str, Any]) -> dict[str, Any]:
    """Return the job of one path of the kubelet on the pod's own node."""
    return _job(
        job,
        SECONDS,
        scheme="https",
        metrics_path=path,
        authorization=TOKEN,
        # Many kubelets sign their certificates themselves. The connection stays on the node.
        tls_config={"insecure_skip_verify": True},
        static_configs=[
            {"targets": [f"{_variable(NODE_ADDRESS)}:{KUBELET_PORT}"], "labels": {"node": _variable(NODE_NAME)}}
        ],
        relabel_configs=[{"target_label": "instance", "replacement": _variable(NODE_NAME)}],
        metric_relabel_configs=[*rules, *_without("namespace", excluded)],
    )


def kubelet(excluded: Sequence[str]) -> dict[str, Any]:
    """Return the job of the kubelet's own metrics, such as those of volumes."""
    return _kubelet("kubelet", "/metrics", excluded, _keep("kubelet"))


def cadvisor(excluded: Sequence[str]) -> dict[str, Any]:
    """Return the job of the containers' metrics, such as CPU and memory."""
    unused = {"source_labels": ["__name__"], "regex": _one_of(UNUSED_CONTAINER_METRICS), "action": "drop"}
    no_pod = {"source_labels": ["__name__", "namespace"], "regex": "container_.*;", "action": "drop"}
    # cAdvisor's own times are up to 15 s old. Without them, series of a container that ended become stale at once.
    own_times = {"honor_timestamps": False}
    return _kubelet("cadvisor", "/metrics/cadvisor", excluded, unused, no_pod) | own_times


def pods(excluded: Sequence[str], *, names_workloads: bool = True) -> dict[str, Any]:
    """Return the job of the node's pods with the annotation `prometheus.io/scrape: "true"`.

    Whoever may annotate a pod chooses scheme, port and path, but the address is the pod's own, and no token is sent. With
    `names_workloads`, series have two more labels than the Cortex of most tenants takes.
    """
    most_labels = {"label_limit": MOST_LABELS} if names_workloads else {}
    return _job(
        "pods",
        SLOW_SECONDS,
        sample_limit=MOST_SAMPLES,
        body_size_limit=MOST_BYTES,
        **LABEL_LIMITS | most_labels,
        # No authority signs certificates for addresses of pods. The connection stays on the node.
        tls_config={"insecure_skip_verify": True},
        kubernetes_sd_configs=_pods_of_node(),
        relabel_configs=[
            {"source_labels": [f"{ANNOTATION}scrape"], "regex": "true", "action": "keep"},
            *_without("__meta_kubernetes_namespace", excluded),
            *_without("__meta_kubernetes_pod_phase", ("Pending", "Succeeded", "Failed")),
            *_without("__meta_kubernetes_pod_container_init", ("true",)),
            {"source_labels": [f"{ANNOTATION}scheme"], "regex": "(https?)", "target_label": "__scheme__"},
            {"source_labels": [f"{ANNOTATION}path"], "regex": "(/.*)", "target_label": "__metrics_path__"},
            {
                "source_labels": ["__meta_kubernetes_pod_ip", f"{ANNOTATION}port"],
                "regex": "([^;]+);([0-9]+)",
                "replacement": "$$1:$$2",
                "target_label": "__address__",
            },
            *POD_LABELS,
            *(_workload_labels() if names_workloads else ()),
        ],
        metric_relabel_configs=[NO_TARGET_INFO],
    )


def back_end(program: str, instance: str, excluded: Sequence[str]) -> dict[str, Any]:
    """Return the job of a program of the node's tenants, of all tenants, through the gateway.

    Its port also opens the tenant's data, so only the gateway reaches it (components/gateway/metrics/back_ends.py).
    """
    wanted = {
        "namespace": TENANT_NAMESPACE,
        f"pod_label_{_meta(PART_OF_LABEL)}": "opstrace",
        f"pod_label_{_meta(NAME_LABEL)}": program,
        f"pod_label_{_meta(INSTANCE_LABEL)}": instance,
        "pod_container_port_name": "http",
        "pod_phase": "Running",
    }
    return _job(
        program,
        SLOW_SECONDS,
        proxy_url=f"http://{METRICS_SERVICE}.{GATEWAY_NAMESPACE}.svc.cluster.local",
        sample_limit=MOST_SAMPLES_OF_BACK_END,
        body_size_limit=MOST_BYTES,
        kubernetes_sd_configs=_pods_of_node(),
        relabel_configs=[
            *(
                {"source_labels": [f"__meta_kubernetes_{label}"], "regex": value, "action": "keep"}
                for label, value in wanted.items()
            ),
            *_without("__meta_kubernetes_namespace", excluded),
            {"source_labels": ["__meta_kubernetes_namespace"], "regex": TENANT_NAMESPACE, "target_label": "tenant"},
            *POD_LABELS,
        ],
        metric_relabel_configs=[_keep(program)],
    )


def own_metrics(program: str) -> dict[str, Any]:
    """Return the job of a collector's own metrics: its queue, what it sent and what it failed to send."""
    labels = {"collector": program, "node": _variable(NODE_NAME)}
    return _job(
        "collector",
        SLOW_SECONDS,
        static_configs=[{"targets": [f"127.0.0.1:{OWN_METRICS_PORT}"], "labels": labels}],
        relabel_configs=[{"target_label": "instance", "replacement": _variable(POD_NAME)}],
        # These labels repeat the program's name, and change with each of its starts.
        metric_relabel_configs=[
            NO_TARGET_INFO,
            {"regex": "service_(name|instance_id|version)|otel_scope_.*", "action": "labeldrop"},
        ],
    )


def api_server() -> dict[str, Any]:
    """Return the job of the API servers, each by its own address."""
    source = ["__meta_kubernetes_service_name", "__meta_kubernetes_endpointslice_port_name"]
    return _job(
        "apiserver",
        SLOW_SECONDS,
        scheme="https",
        authorization=TOKEN,
        tls_config={"ca_file": f"{SERVICE_ACCOUNT_FOLDER}/ca.crt", "server_name": "kubernetes.default.svc"},
        kubernetes_sd_configs=[{"role": "endpointslice", "namespaces": {"names": ["default"]}}],
        relabel_configs=[{"source_labels": source, "regex": "kubernetes;https", "action": "keep"}],
        metric_relabel_configs=[_keep("apiserver")],
    )


def extra(job: ScrapeJob) -> dict[str, Any]:
    """Return the job of targets that the settings name."""
    return _job(
        job.job,
        job.interval_seconds,
        metrics_path=job.path,
        scheme=job.scheme,
        sample_limit=MOST_SAMPLES,
        body_size_limit=MOST_BYTES,
        **LABEL_LIMITS,
        static_configs=[{"targets": list(job.targets)}],
        metric_relabel_configs=[NO_TARGET_INFO],
    )
