"""The collectors: what the settings switch, and what their pods may do."""

import json
import re
from typing import Any

import pytest

from components.collectors.admission import validations
from components.collectors.export import TIMEOUT
from components.collectors.scrape import NO_TARGET_INFO
from components.config.load import from_settings
from components.core.errors import ConfigError
from components.core.images import COLLECTOR_IMAGE
from components.core.names import SYSTEM
from components.core.resource_names import (
    CLUSTER_ROLE_TYPE,
    CONFIG_MAP_TYPE,
    DAEMON_SET_TYPE,
    DEPLOYMENT_TYPE,
    WORKLOAD_PREFIX,
)
from components.core.units import interval_seconds
from components.tenant.back_ends.cortex import cortex_limits
from components.tenant.back_ends.loki import loki_limits
from tests.support.factories import settings
from tests.support.pulumi_mocks import Resources, declared

NODE, CLUSTER = "node-collector", "cluster-collector"
MIB = 2**20
ACTIONS = {None, "keep", "drop", "labeldrop"}


def collected(**collectors: Any) -> Resources:
    """Return the collectors' resources of an instance with these settings of them."""
    resources = declared(settings(collectors=collectors))
    return [entry for entry in resources if entry.name.startswith("collectors-")]


def pods(resources: Resources) -> dict[str, dict[str, Any]]:
    workloads = [entry.inputs for entry in resources if entry.typ.startswith(WORKLOAD_PREFIX)]
    return {each["metadata"]["name"]: each["spec"]["template"]["spec"] for each in workloads}


def configurations(resources: Resources) -> dict[str, dict[str, Any]]:
    maps = [entry.inputs for entry in resources if entry.typ == CONFIG_MAP_TYPE]
    return {each["metadata"]["name"]: json.loads(each["data"]["config.yaml"]) for each in maps}


def jobs(configuration: dict[str, Any]) -> dict[str, dict[str, Any]]:
    listed = configuration["receivers"]["prometheus"]["config"]["scrape_configs"]
    return {job["job_name"]: job for job in listed}


@pytest.mark.parametrize(
    ("collectors", "pipelines"),
    [
        ({}, {NODE: {"logs", "metrics"}, CLUSTER: {"metrics", "metrics/objects"}}),
        ({"logs": False}, {NODE: {"metrics"}, CLUSTER: {"metrics", "metrics/objects"}}),
        ({"metrics": False}, {NODE: {"logs"}}),
        ({"logs": False, "metrics": False}, {}),
    ],
)
def test_each_signal_can_be_switched_off(collectors: dict[str, bool], pipelines: dict[str, set[str]]) -> None:
    resources = collected(**collectors)
    found = configurations(resources)
    assert {name: {*each["service"]["pipelines"]} for name, each in found.items()} == pipelines
    assert {*pods(resources)} == {*pipelines} and bool(resources) == bool(pipelines)
    mounted = {volume["name"] for pod in pods(resources).values() for volume in pod["volumes"]}
    assert ("logs" in mounted) == any("logs" in each for each in pipelines.values())


def test_every_part_of_a_configuration_is_used() -> None:
    for configuration in configurations(collected()).values():
        pipelines = configuration["service"]["pipelines"].values()
        for kind in ("receivers", "processors", "exporters"):
            assert {*configuration[kind]} == {name for pipeline in pipelines for name in pipeline[kind]}
        assert {*configuration["extensions"]} == {*configuration["service"]["extensions"]}
        assert "batch" not in configuration["processors"]


def test_a_slow_cortex_answers_before_the_collectors_give_up_and_not_with_an_error_that_is_final() -> None:
    (text,) = {
        entry.inputs["data"]["config.yaml"]
        for entry in declared(settings())
        if entry.name.startswith("system-cortex") and "config.yaml" in entry.inputs.get("data", {})
    }
    seconds = interval_seconds(json.loads(text)["distributor"]["remote_timeout"])
    assert 2 < seconds < interval_seconds(TIMEOUT)  # 2 s is Cortex's own


def test_what_cannot_be_sent_stays_on_the_node_s_disk_until_it_can() -> None:
    for name, configuration in configurations(collected()).items():
        assert configuration["extensions"]["file_storage"]["fsync"]
        for exporter in configuration["exporters"].values():
            queue = exporter["sending_queue"]
            assert (queue["storage"], queue["sizer"], queue["num_consumers"]) == ("file_storage", "bytes", 1)
            assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"
            assert exporter["disable_keep_alives"]
            assert exporter["headers"] == {"X-Scope-OrgID": "system"}
            assert ".system-tenant.svc.cluster.local/" in exporter["endpoint"]
        folder = configuration["extensions"]["file_storage"]["directory"]
        pod = pods(collected())[name]
        (mounted,) = (mount for mount in pod["containers"][0]["volumeMounts"] if mount["mountPath"] == folder)
        (volume,) = (volume for volume in pod["volumes"] if volume["name"] == mounted["name"])
        assert volume["hostPath"]["path"] == f"/var/lib/opstrace-collectors/showdown/{name}"


@pytest.mark.parametrize(
    ("queues", "sizes"),
    [
        ({}, {"otlp_http/logs": (512 * MIB, True), "otlp_http/metrics": (2304 * MIB, False)}),
        (
            {"logs": "1Gi", "metrics": "64Mi"},
            {"otlp_http/logs": (1024 * MIB, True), "otlp_http/metrics": (64 * MIB, False)},
        ),
    ],
)
def test_a_full_queue_lets_lines_wait_and_refuses_samples(
    queues: dict[str, str], sizes: dict[str, tuple[int, bool]]
) -> None:
    for configuration in configurations(collected(queues=queues)).values():
        for name, exporter in configuration["exporters"].items():
            queue = exporter["sending_queue"]
            assert (queue["queue_size"], queue["block_on_overflow"]) == sizes[name]


@pytest.mark.parametrize(
    ("queues", "problem"),
    [
        ({"logs": "63Mi"}, "logs '63Mi' is less than the batches and scrapes that a queue holds; write 64Mi or more"),
        ({"metrics": "512"}, "it has no unit; write 512Gi or 512Mi"),
    ],
)
def test_a_queue_without_room_for_scrapes_is_refused(queues: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(problem)):
        from_settings(settings(collectors={"queues": queues}), "showdown")


def test_a_file_of_a_queue_gives_its_space_back_on_its_own_disk() -> None:
    for configuration in configurations(collected()).values():
        storage = configuration["extensions"]["file_storage"]
        assert storage["compaction"]["on_rebound"] and storage["compaction"]["directory"] == storage["directory"]


def test_a_cortex_that_stops_is_sent_nothing_which_it_would_refuse_for_good() -> None:
    workloads = [entry for entry in declared(settings()) if entry.typ.startswith(WORKLOAD_PREFIX)]
    containers = {each.name: each.inputs["spec"]["template"]["spec"]["containers"][0] for each in workloads}
    drained = {name for name, container in containers.items() if "preStop" in container.get("lifecycle", {})}
    assert [name for name in drained if name.endswith("stateful-set")] == ["system-cortex-stateful-set"]


def test_excluded_namespaces_are_left_out_of_logs_containers_and_pods() -> None:
    names = ["kube-system", "other"]
    node = configurations(collected(namespaces={"exclude": names}))[NODE]
    assert {f"/var/log/pods/{name}_*/*/*" for name in names} <= {*node["receivers"]["file_log"]["exclude"]}
    for job, rules, label in (
        ("kubelet", "metric_relabel_configs", "namespace"),
        ("cadvisor", "metric_relabel_configs", "namespace"),
        ("pods", "relabel_configs", "__meta_kubernetes_namespace"),
        ("cortex", "relabel_configs", "__meta_kubernetes_namespace"),
    ):
        dropped = {"source_labels": [label], "regex": "kube-system|other", "action": "drop"}
        assert dropped in jobs(node)[job][rules]
    plain = configurations(collected())[NODE]
    assert not [
        rule for rule in jobs(plain)["cadvisor"]["metric_relabel_configs"] if rule["source_labels"] == ["namespace"]
    ]


@pytest.mark.parametrize(
    ("kind", "name", "pod_hash", "labels"),
    [
        ("ReplicaSet", "web-shop-5d4f8c7b9", "5d4f8c7b9", {"workload": "web-shop", "workload_type": "deployment"}),
        ("ReplicaSet", "web-shop", "", {}),  # of no Deployment
        ("StatefulSet", "db", "", {"workload": "db", "workload_type": "statefulset"}),
        ("DaemonSet", "agent", "", {"workload": "agent", "workload_type": "daemonset"}),
        ("Job", "backup-29012345", "", {"workload": "backup-29012345", "workload_type": "job"}),
        ("Node", "node-1", "", {}),
        ("", "", "", {}),
    ],
)
def test_a_pod_has_its_workload_as_a_label(kind: str, name: str, pod_hash: str, labels: dict[str, str]) -> None:
    found = {"pod_controller_kind": kind, "pod_controller_name": name, "pod_label_pod_template_hash": pod_hash}
    made = {}
    for rule in jobs(configurations(collected())[NODE])["pods"]["relabel_configs"]:
        source = ";".join(found.get(each.removeprefix("__meta_kubernetes_"), "") for each in rule["source_labels"])
        match = re.fullmatch(rule.get("regex", "(.*)"), source)
        if match and rule["source_labels"][0].endswith("controller_kind"):
            made[rule["target_label"]] = rule["replacement"].replace("$$1", match[1])
    assert made == labels


def test_a_series_of_a_pod_may_have_24_labels_of_its_own_and_the_system_tenant_takes_them() -> None:
    """Cortex and the scrape count all labels, the metric's name among them."""
    job = jobs(configurations(collected())[NODE])["pods"]
    given = {rule["target_label"] for rule in job["relabel_configs"] if "target_label" in rule}
    given = {"__name__", "job", "instance"} | {label for label in given if not label.startswith("__")}
    limits = cortex_limits(from_settings(settings(), "showdown").settings_of(SYSTEM))
    assert job["label_limit"] == len(given) + 24 == limits["max_label_names_per_series"]


def test_further_targets_are_scraped_once_for_the_cluster() -> None:
    target = {"job": "database", "targets": ["db.example.com:9187"], "scheme": "https", "intervalSeconds": 60}
    found = configurations(collected(extraScrape=[target]))
    job = jobs(found[CLUSTER])["database"]
    assert (job["metrics_path"], job["scheme"], job["scrape_interval"]) == ("/metrics", "https", "60s")
    assert job["static_configs"] == [{"targets": ["db.example.com:9187"]}]
    assert "authorization" not in job and "database" not in jobs(found[NODE])


def test_only_the_kubelet_and_the_api_server_get_the_service_account_s_token() -> None:
    found = [job for each in configurations(collected()).values() for job in jobs(each).values()]
    assert {job["job_name"] for job in found if "authorization" in job} == {"kubelet", "cadvisor", "apiserver"}


def test_no_target_leads_a_collector_to_another_address() -> None:
    found = configurations(collected(extraScrape=[{"job": "database", "targets": ["db.example.com:9187"]}]))
    scraped = {(program, name): job for program, each in found.items() for name, job in jobs(each).items()}
    assert len(scraped) > 8 and [name for name, job in scraped.items() if job["follow_redirects"] is not False] == []


def test_no_target_chooses_its_job_or_its_tenant() -> None:
    """The platform's rules trust the label `job`, and `tenant` of the jobs that back ends have."""
    found = configurations(collected(extraScrape=[{"job": "database", "targets": ["db.example.com:9187"]}]))
    for job in (job for each in found.values() for job in jobs(each).values()):
        assert not job.get("honor_labels")
        rules, of_samples = job.get("relabel_configs", []), job["metric_relabel_configs"]
        set_labels = {rule["target_label"] for rule in (*rules, *of_samples) if rule.get("action") in (None, "replace")}
        assert "job" not in set_labels and {rule.get("action") for rule in (*rules, *of_samples)} <= ACTIONS
        assert all(not re.fullmatch(rule["regex"], "job") for rule in of_samples if rule["action"] == "labeldrop")
        sources = [rule["source_labels"] for rule in rules if rule.get("target_label") == "tenant"]
        is_back_end = job["job_name"] in ("cortex", "loki", "alertmanager")
        assert sources == ([["__meta_kubernetes_namespace"]] if is_back_end else [])
        # By this series, the receiver would take `job` from the target. The kubelet has none.
        kept = [rule["regex"] for rule in of_samples if rule["action"] == "keep"]
        is_dropped = NO_TARGET_INFO in of_samples or (kept and not re.fullmatch(kept[0], "target_info"))
        assert is_dropped or job["job_name"] == "cadvisor"


def test_back_ends_of_all_tenants_are_scraped_through_the_gateway_and_few_of_their_metrics_are_kept() -> None:
    resources = collected()
    service = next(each.inputs for each in declared(settings()) if each.name.endswith("backend-metrics-service"))
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    found = jobs(configurations(resources)[NODE])
    for program in ("cortex", "loki", "alertmanager"):
        job = found[program]
        assert job["proxy_url"] == f"http://{name}.{namespace}.svc.cluster.local" and "authorization" not in job
        wanted = {rule["source_labels"][0]: rule["regex"] for rule in job["relabel_configs"] if "action" in rule}
        assert wanted["__meta_kubernetes_pod_label_app_kubernetes_io_name"] == program
        assert wanted["__meta_kubernetes_pod_label_app_kubernetes_io_instance"] == "showdown"
        assert re.fullmatch(wanted["__meta_kubernetes_namespace"], "default-tenant")
        assert not re.fullmatch(wanted["__meta_kubernetes_namespace"], "another-team-tenant")
        (kept,) = job["metric_relabel_configs"]
        assert (kept["action"], kept["source_labels"]) == ("keep", ["__name__"]) and job["sample_limit"] <= 2000
        assert kept["regex"].split("|") and not re.fullmatch(kept["regex"], "go_goroutines")
    assert {job for job in found if "proxy_url" in found[job]} == {"cortex", "loki", "alertmanager"}


def test_the_pods_are_tight_although_they_run_as_root() -> None:
    for pod in pods(collected()).values():
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & {*pod}
        (container,) = pod["containers"]
        context = container["securityContext"]
        assert context["capabilities"] == {"drop": ["ALL"]} and context["readOnlyRootFilesystem"]
        assert context["allowPrivilegeEscalation"] is False and "privileged" not in context
        assert container["resources"]["limits"]["memory"] and {"cpu", "memory"} == {*container["resources"]["requests"]}
        assert all(mount.get("readOnly") for mount in container["volumeMounts"] if mount["name"] != "queue")


def test_go_collects_garbage_before_the_memory_limit_is_reached() -> None:
    pod = pods(collected(resources={"memoryLimit": "1Gi"}))[NODE]
    environment = {variable["name"]: variable.get("value") for variable in pod["containers"][0]["env"]}
    assert environment["GOMEMLIMIT"] == str(int(2**30 * 0.8))


def test_every_node_is_watched_also_those_that_tenants_do_not_use() -> None:
    pods_config = {"nodeSelector": {"pool": "a"}, "tolerations": [{"key": "a", "effect": "NoSchedule"}]}
    resources = declared(settings(pods=pods_config))
    found = pods([entry for entry in resources if entry.name.startswith("collectors-")])
    assert "nodeSelector" not in found[NODE] and found[NODE]["tolerations"] == [{"operator": "Exists"}]
    assert found[CLUSTER]["nodeSelector"] == {"pool": "a"} and found[CLUSTER]["tolerations"][0]["key"] == "a"


def test_changes_replace_one_pod_at_a_time_and_never_two_write_to_one_queue() -> None:
    specs = {entry.typ: entry.inputs["spec"] for entry in collected() if entry.typ.startswith(WORKLOAD_PREFIX)}
    assert specs[DAEMON_SET_TYPE]["updateStrategy"]["rollingUpdate"] == {"maxUnavailable": 1}
    assert specs[DEPLOYMENT_TYPE]["strategy"] == {"type": "Recreate"} and specs[DEPLOYMENT_TYPE]["replicas"] == 1
    changed = [
        {
            entry.typ: entry.inputs["spec"]["template"]["metadata"]["annotations"]
            for entry in resources
            if "spec" in entry.inputs and "template" in entry.inputs["spec"]
        }
        for resources in (collected(), collected(namespaces={"exclude": ["a"]}))
    ]
    assert changed[0][DAEMON_SET_TYPE] != changed[1][DAEMON_SET_TYPE]
    assert changed[0][DEPLOYMENT_TYPE] == changed[1][DEPLOYMENT_TYPE]


def test_the_collectors_read_no_secret_and_change_nothing() -> None:
    rules = [rule for entry in collected() if entry.typ == CLUSTER_ROLE_TYPE for rule in entry.inputs["rules"]]
    assert len(rules) > 5
    for rule in rules:
        assert {*rule["verbs"]} <= {"get", "list", "watch"}
        assert not {"secrets", "configmaps", "nodes/proxy", "pods/exec", "*"} & {*rule.get("resources", [])}


def test_the_policy_names_the_collectors_that_there_are_and_their_image() -> None:
    _, accounts, _, image, *_ = (rule["expression"] for rule in validations([NODE], COLLECTOR_IMAGE))
    assert accounts.endswith(f'in ["{NODE}"])') and COLLECTOR_IMAGE in image


def test_pod_names_are_no_labels_of_the_system_tenant_s_streams() -> None:
    config = from_settings(settings(), "showdown")
    own = loki_limits(config.settings_of("system"), "system")["otlp_config"]["resource_attributes"]
    (labels,) = own["attributes_config"]
    assert own["ignore_defaults"] and "k8s.namespace.name" in labels["attributes"]
    assert not [name for name in labels["attributes"] if "pod" in name or "instance" in name]
    assert "otlp_config" not in loki_limits(config.settings_of("default"), "default")


@pytest.mark.parametrize(
    ("collectors", "told"),
    [
        ({"log": True}, "collectors.log: there is no such setting; did you mean 'logs'?"),
        ({"namespaces": {"exclude": ["Kube"]}}, "collectors.namespaces.exclude.0: must be the name of a namespace"),
        ({"namespaces": {"exclude": ["a", "a"]}}, "collectors.namespaces.exclude: given more than once: a"),
        ({"extraScrape": [{"job": "a", "targets": ["db"]}]}, "'db' is not HOST:PORT such as db.example.com:9187"),
        ({"extraScrape": [{"job": "a", "targets": ["db:0"]}]}, "'db:0' is not HOST:PORT"),
        ({"extraScrape": [{"job": "a", "targets": []}]}, "extraScrape.0.targets: must have at least 1 item"),
        ({"extraScrape": [{"job": "pods", "targets": ["a:1"]}]}, "'pods' is a job of the collectors themselves"),
        ({"extraScrape": [{"job": "a", "targets": ["a:1"]}] * 2}, "given more than once: a"),
        ({"extraScrape": [{"job": "a", "targets": ["a:1"], "path": "m"}]}, "path: must be a path such as /metrics"),
        (
            {"extraScrape": [{"job": "a", "targets": ["a:1"], "intervalSeconds": 1}]},
            "intervalSeconds: must be greater than or equal to 5",
        ),
        ({"metrics": False, "extraScrape": [{"job": "a", "targets": ["a:1"]}]}, "extraScrape needs `metrics: true`"),
        ({"resources": {"memory": "1Gi"}}, "memory '1Gi' is more than memoryLimit '512Mi'; raise memoryLimit"),
        ({"resources": {"memory": "9Mi", "memoryLimit": "9Mi"}}, "less than a collector takes; write 128Mi or more"),
    ],
)
def test_settings_that_cannot_work_are_refused(collectors: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match="1 problem") as refused:
        from_settings(settings(collectors=collectors), "showdown")
    assert told in str(refused.value)
