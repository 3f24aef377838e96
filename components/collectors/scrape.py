"""Scrape configurations, as Prometheus has them. In the Collector's files, `$$` stands for `$`."""

from collections.abc import Iterable, Sequence
from typing import Any

from components.collectors.settings import (
    KUBELET_PORT,
    NODE_ADDRESS,
    NODE_NAME,
    OWN_METRICS_PORT,
    POD_NAME,
    SERVICE_ACCOUNT_FOLDER,
    ScrapeJob,
)

SECONDS = 15
SLOW_SECONDS = 30
JOBS = ("apiserver", "cadvisor", "collector", "kubelet", "pods")
TOKEN = {"credentials_file": f"{SERVICE_ACCOUNT_FOLDER}/token"}

# Of the kubelet's own series, those that tell of volumes, pods, certificates and errors.
KUBELET_METRICS = (
    "kubelet_(volume_stats|certificate_manager|server_expiration|running|runtime_operations_errors|pleg_last|node_name|evictions).*",
    "process_(cpu_seconds_total|resident_memory_bytes|start_time_seconds)",
)
# Of the API server's series, most of which are buckets of histograms by verb and resource.
API_SERVER_METRICS = (
    "apiserver_(request_total|current_inflight_requests|storage_objects|requested_deprecated_apis|tls_handshake_errors_total)",
    "apiserver_(admission_webhook_rejection_count|storage_size_bytes|dropped_requests_total|flowcontrol_rejected_requests_total)",
    "process_(cpu_seconds_total|resident_memory_bytes|start_time_seconds)",
)
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


def _variable(name: str) -> str:
    return f"${{env:{name}}}"


def _one_of(names: Iterable[str]) -> str:
    return "|".join(names)


def _keep(names: Sequence[str]) -> dict[str, Any]:
    return {"source_labels": ["__name__"], "regex": _one_of(names), "action": "keep"}


def _without(label: str, values: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rule that drops what has one of the values; none without values."""
    return [{"source_labels": [label], "regex": _one_of(values), "action": "drop"}] if values else []


def _label(target: str, *source: str) -> dict[str, Any]:
    return {"source_labels": list(source), "target_label": target}


def _job(name: str, seconds: int, **parts: Any) -> dict[str, Any]:
    return {"job_name": name, "scrape_interval": f"{seconds}s", "scrape_timeout": f"{min(seconds, 10)}s", **parts}


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
    return _kubelet("kubelet", "/metrics", excluded, _keep(KUBELET_METRICS))


def cadvisor(excluded: Sequence[str]) -> dict[str, Any]:
    """Return the job of the containers' metrics, such as CPU and memory."""
    unused = {"source_labels": ["__name__"], "regex": _one_of(UNUSED_CONTAINER_METRICS), "action": "drop"}
    no_pod = {"source_labels": ["__name__", "namespace"], "regex": "container_.*;", "action": "drop"}
    # cAdvisor's own times are up to 15 s old. Without them, series of a container that ended become stale at once.
    own_times = {"honor_timestamps": False}
    return _kubelet("cadvisor", "/metrics/cadvisor", excluded, unused, no_pod) | own_times


def pods(excluded: Sequence[str]) -> dict[str, Any]:
    """Return the job of the node's pods with the annotation `prometheus.io/scrape: "true"`.

    Whoever may annotate a pod chooses the port and the path, but the address is the pod's own, and no token is sent.
    """
    own_node = [{"role": "pod", "field": f"spec.nodeName={_variable(NODE_NAME)}"}]
    return _job(
        "pods",
        SLOW_SECONDS,
        sample_limit=MOST_SAMPLES,
        body_size_limit=MOST_BYTES,
        kubernetes_sd_configs=[{"role": "pod", "selectors": own_node}],
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
            _label("namespace", "__meta_kubernetes_namespace"),
            _label("pod", "__meta_kubernetes_pod_name"),
            _label("node", "__meta_kubernetes_pod_node_name"),
        ],
        metric_relabel_configs=[NO_TARGET_INFO],
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
        metric_relabel_configs=[_keep(API_SERVER_METRICS)],
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
        static_configs=[{"targets": list(job.targets)}],
        metric_relabel_configs=[NO_TARGET_INFO],
    )
