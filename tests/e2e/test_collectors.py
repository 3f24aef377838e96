"""The cluster watches itself: logs of any pod and the metrics of containers are in the system tenant, by the page's commands."""

import datetime
import json
import re
import time
import uuid
from collections.abc import Iterator

import pytest

from components.collectors.scrape import SLOW_SECONDS
from components.collectors.settings import NODE
from components.core.names import COLLECTORS_NAMESPACE, GATEWAY_NAMESPACE, PORTS
from components.gateway.settings import METRICS_PORT
from tests.support.envoy_server import pod_spec
from tests.support.manifests import apply, deployment, new_namespace, pod, replica_set
from tests.support.packets import PodNetwork
from tests.support.polling import eventually
from tests.support.queries import LINES, METRICS, asked, lines_of
from tests.support.scraped_pods import (
    ELSEWHERE,
    FORGED,
    METRIC,
    OTHER_PORT,
    PATH,
    PORT,
    SCRAPED,
    elsewhere,
    usual,
)
from tests.support.user_session import INSTANCE, UserSession, commands, url

PAGE = "how-to/watch-the-cluster.md"
SOON = 30  # seconds from a line or a sample to the answer that has it
START_SECONDS = 180  # until the collectors run, on a busy machine
JOBS = {"apiserver", "cadvisor", "collector", "cortex", "gateway", "kubelet", "kubernetes", "loki", "pods"}
MOST_SERIES = 400  # of one back end
GOES_ON, ENDS = "goes-on", "ends"  # the containers of new pods
NEW, SHOP = "new", "shop"  # a pod and a Deployment that are scraped
UNMARKED = "unmarked"  # a pod without annotations
PROBED = "probed"  # the container of a ReplicaSet's pod, which writes a line for each probe
SHORT_HASH = "5d7f9"  # of a pod's template: most hashes have 10 characters, but some have fewer


def lines(walk: UserSession, query: str) -> list[str]:
    return lines_of(asked(walk, LINES, query=query, limit=1000))


def series(walk: UserSession, query: str) -> list[dict[str, str]]:
    return [entry["metric"] for entry in asked(walk, METRICS, query=query)]


def said(walk: UserSession) -> str:
    pods = walk.kubectl("-n", COLLECTORS_NAMESPACE, "get", "pods", "-o", "wide")
    logs = walk.kubectl("-n", COLLECTORS_NAMESPACE, "logs", "-l", "app.kubernetes.io/component=collectors", "--tail=20")
    return f"{pods}\n{logs}"


def test_create_says_that_the_collectors_follow(walk: UserSession) -> None:
    assert "The cluster's own logs and metrics follow in the tenant system" in walk.created


@pytest.fixture(scope="module")
def collecting(walk: UserSession) -> None:
    """Wait until lines and rates of metrics are there, which takes a while on a new instance."""
    eventually(lambda: lines(walk, '{k8s_namespace_name="opstrace"}') != [], START_SECONDS, detail=lambda: said(walk))
    cpu = 'rate(container_cpu_usage_seconds_total{container!=""}[2m])'
    eventually(lambda: series(walk, cpu) != [], START_SECONDS, detail=lambda: said(walk))


def test_the_queries_of_the_page_have_answers(walk: UserSession, collecting: None) -> None:
    _, output = walk.follow(commands(PAGE)[:2], walk.folder / "tenant-api-token-system")
    logs, metrics = (json.loads(text) for text in output.replace("}{", "}\n{").splitlines())
    assert logs["data"]["result"] and metrics["data"]["result"]


def labels_of_a_new_line(walk: UserSession) -> dict[str, str]:
    """Let the gateway write a line; return its labels once it is found, which is soon."""
    mark = f"m{uuid.uuid4().hex}"
    walk.curl(url("cortex", "default", f"/api/v1/label/{mark}/values"), token=walk.token("default"))
    query = f'{{k8s_namespace_name="opstrace", k8s_container_name="envoy"}} |= "{mark}"'
    assert eventually(lambda: len(lines(walk, query)) == 1, detail=lambda: said(walk)) < SOON
    (stream,) = asked(walk, LINES, query=query)
    return dict(stream["stream"])


def test_a_line_of_a_pod_is_found_soon(walk: UserSession) -> None:
    assert labels_of_a_new_line(walk)["k8s_pod_name"].startswith("gateway-")
    # A pod's first lines can come before the collector knows its workload.
    eventually(lambda: labels_of_a_new_line(walk).get("k8s_deployment_name") == "gateway", detail=lambda: said(walk))
    names = json.loads(walk.curl(url("loki", "system", "/loki/api/v1/labels"), token=walk.token("system"))[1])["data"]
    assert not [name for name in names if "pod" in name or "instance" in name]


@pytest.fixture(scope="module")
def new_pods(walk: UserSession, collecting: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A new namespace with pods: one that goes on, one of a Deployment, one that is not scraped, and one that ends at once."""
    place = f"new-{uuid.uuid4().hex[:8]}"
    job = {"template": {"spec": pod_spec(ENDS, ["--version"]) | {"restartPolicy": "Never"}}}
    apply(
        walk.shell,
        new_namespace(place),
        pod(place, NEW, usual(GOES_ON), annotations=SCRAPED),
        pod(place, UNMARKED, usual("server")),
        deployment(place, SHOP, elsewhere("server", tmp_path_factory.mktemp("shop")), ELSEWHERE),
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": NEW, "namespace": place}, "spec": job},
    )
    yield place
    walk.kubectl("delete", "namespace", place, "--wait=false")


def test_lines_cpu_and_metrics_of_new_pods_are_found_soon(walk: UserSession, new_pods: str) -> None:
    delays: dict[str, float] = {}  # of each container's first line, and of the first samples, until they are found
    samples = {
        "cpu": f'container_cpu_usage_seconds_total{{namespace="{new_pods}",container="{GOES_ON}"}}',
        **{name: f'{METRIC}{{namespace="{new_pods}",pod=~"{name}.*"}}' for name in (NEW, SHOP)},
    }
    wanted = {GOES_ON, ENDS, *samples}

    def all_are_found() -> bool:
        for name in (GOES_ON, ENDS):
            query = f'{{k8s_namespace_name="{new_pods}",k8s_container_name="{name}"}}'
            for stream in asked(walk, LINES, query=query, limit=1, direction="forward"):
                delays.setdefault(name, time.time() - int(stream["values"][0][0]) / 1e9)
        for name in samples.keys() - delays.keys():
            for sample in asked(walk, METRICS, query=f"timestamp({samples[name]})"):
                delays.setdefault(name, time.time() - float(sample["value"][1]))
        return {*delays} == wanted

    def state() -> str:
        return f"{delays}\n{walk.kubectl('-n', new_pods, 'get', 'pods', '-o', 'wide')}\n{said(walk)}"

    eventually(all_are_found, START_SECONDS, detail=state)
    assert max(delays.values()) < SOON, delays


def test_the_deployment_of_a_line_is_known_by_the_label_of_its_pod(walk: UserSession, new_pods: str) -> None:
    """A ReplicaSet whose pods have no hash of a Deployment's template has none, whatever its name is."""
    probe = {"httpGet": {"path": PATH, "port": PORT}, "periodSeconds": 2}
    spec = usual(PROBED, log=PROBED, readinessProbe=probe)
    marks = {f"cart-{SHORT_HASH}": {"pod-template-hash": SHORT_HASH}, "alone-5d7f9b6c8d": {"app": "alone"}}
    apply(walk.shell, *(replica_set(new_pods, name, spec, labels) for name, labels in marks.items()))

    def deployments() -> dict[str, str | None]:
        """Return the Deployment of each pod's newest line."""
        query = f'{{k8s_namespace_name="{new_pods}", k8s_container_name="{PROBED}"}} |= "{PROBED}"'
        found = sorted(asked(walk, LINES, query=query, limit=100), key=lambda each: max(each["values"]))
        assert not [each for each in found if {"pod_template_hash", "k8s_replicaset_name"} & {*each["stream"]}]
        return {
            each["stream"]["k8s_pod_name"].rpartition("-")[0]: each["stream"].get("k8s_deployment_name")
            for each in found
        }

    eventually(lambda: deployments() == dict(zip(marks, ("cart", None), strict=True)), detail=deployments)


def test_annotated_pods_are_scraped_where_their_annotations_say(walk: UserSession, new_pods: str) -> None:
    pods = json.loads(walk.kubectl("-n", new_pods, "get", "pods", "-o", "json"))["items"]
    running = {each["metadata"]["name"]: each for each in pods if each["status"]["phase"] == "Running"}
    (shop,) = (name for name in running if name.startswith(SHOP))

    def labels(name: str, port: int, **workload: str) -> dict[str, str]:
        node, address = running[name]["spec"]["nodeName"], running[name]["status"]["podIP"]
        own = {"__name__": METRIC, "job": "pods", "instance": f"{address}:{port}"}
        return own | {"namespace": new_pods, "pod": name, "node": node} | workload

    found = series(walk, f'{METRIC}{{namespace="{new_pods}"}}')
    expected = [labels(NEW, PORT), labels(shop, OTHER_PORT, workload=SHOP, workload_type="deployment")]
    assert sorted(found, key=lambda each: each["pod"]) == expected


def test_a_pod_chooses_neither_the_job_nor_the_namespace_of_its_series(walk: UserSession, new_pods: str) -> None:
    found = series(walk, f'{FORGED}{{tenant="forged"}}')
    assert len(found) == 2
    for each in found:
        assert (each["job"], each["namespace"]) == ("pods", new_pods)
        assert (each["exported_job"], each["exported_namespace"]) == ("cortex", "default-tenant")


def test_the_cpu_of_containers_is_not_older_than_that(walk: UserSession) -> None:
    query = 'timestamp(container_cpu_usage_seconds_total{namespace="opstrace",container="envoy"})'
    found = asked(walk, METRICS, query=query)
    assert len({entry["metric"]["pod"] for entry in found}) == 2
    newest = max(float(entry["value"][1]) for entry in found)
    assert time.time() - newest < SOON


def test_each_job_has_series(walk: UserSession, new_pods: str) -> None:
    def jobs() -> set[str]:
        return {entry["job"] for entry in series(walk, "group by (job) ({job!=''})")}

    eventually(lambda: jobs() >= JOBS, detail=jobs)
    eventually(lambda: series(walk, "up == 0") == [], 2 * SOON, detail=lambda: series(walk, "up == 0"))
    gateway = (
        'k8s_deployment_available{namespace="opstrace",deployment="gateway"}'  # at the first scrape, none is ready
    )
    eventually(lambda: series(walk, f"{gateway} == 2") != [], 3 * SOON, detail=lambda: series(walk, gateway))
    assert series(walk, "target_info{job!='gateway'}") == []


def test_few_series_of_each_tenant_s_back_ends_are_kept(walk: UserSession) -> None:
    def back_ends() -> dict[tuple[str, str], int]:
        found = asked(walk, METRICS, query='count by (job, tenant) ({job=~"cortex|loki"})')
        return {(each["metric"]["job"], each["metric"]["tenant"]): int(each["value"][1]) for each in found}

    wanted = {(job, tenant) for job in ("cortex", "loki") for tenant in ("default", "system")}
    eventually(lambda: {*back_ends()} >= wanted, detail=back_ends)
    assert max(back_ends().values()) < MOST_SERIES, back_ends()


def test_the_collectors_reach_the_data_of_no_tenant_but_their_own(walk: UserSession) -> None:
    collector, gateway = (
        PodNetwork.of(walk, *pod) for pod in ((COLLECTORS_NAMESPACE, NODE), (GATEWAY_NAMESPACE, "gateway"))
    )
    assert collector.reaches(f"{gateway.address}:{METRICS_PORT}")
    for api, port in PORTS.items():
        pod = PodNetwork.of(walk, "default-tenant", api)
        assert not collector.reaches(f"{pod.address}:{port}")


def test_a_pod_without_the_annotation_is_not_scraped(walk: UserSession, new_pods: str) -> None:
    """It serves the same metric as another one, which is found already."""
    pods = walk.kubectl("-n", new_pods, "get", "pods", "-o", "json")
    started = {each["metadata"]["name"]: each["status"]["startTime"] for each in json.loads(pods)["items"]}
    begin = datetime.datetime.fromisoformat(started[UNMARKED]).timestamp()
    time.sleep(max(0, begin + 2 * SLOW_SECONDS - time.time()))
    found = {each["pod"] for each in series(walk, f'count by (pod) ({{namespace="{new_pods}",job="pods"}})')}
    assert found == {name for name in started if name == NEW or name.startswith(SHOP)}


def test_the_status_tells_how_old_the_newest_data_is(walk: UserSession) -> None:
    def told() -> str:
        return next(line for line in walk.opstrace("status", "local", INSTANCE).stdout.splitlines() if "newest" in line)

    young = r"collected: +newest sample \d+s old, newest line \d+s old"
    eventually(lambda: re.fullmatch(young, told()) is not None, 3 * SOON, detail=told)
    listed = walk.opstrace("tenants", "list", "local", INSTANCE).stderr
    assert re.search(r"system: newest sample \d+s old, newest line \d+s old$", listed, re.MULTILINE), listed


def test_no_other_pod_runs_in_the_collectors_namespace(walk: UserSession) -> None:
    command = ("-n", COLLECTORS_NAMESPACE, "run", "other", "--image=registry.example.com/other:1")
    done = walk.in_project("kubectl", *command, check=False)
    assert done.returncode and "opstrace-collectors admits a pod only if" in done.stderr
