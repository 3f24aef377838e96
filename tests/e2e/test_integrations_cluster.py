"""A cluster of a user, by the commands of the page: its namespaces fill two tenants, and bad luck loses nothing.

The cluster of the instance stands for it. Its pods find the gateway by host aliases, and reach it through a relay.
"""

import json
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from localcloud.settings import Settings
from scripts.tokens.parse import token_in
from tests.support.envoy_server import answer, command_line, http_listener, pod_spec
from tests.support.integration_data import WAIT, check, lines, values
from tests.support.manifests import apply, new_namespace, pod
from tests.support.node_processes import stop_node
from tests.support.polling import eventually
from tests.support.relay import Relay
from tests.support.shell import run
from tests.support.user_session import DOMAIN, INSTANCE, LABELS, PORT, SLOT, UserSession, blocks, commands, url

PAGE, SECTION = "how-to/integrations.md", "Send the logs and metrics of a Kubernetes cluster"
NAMESPACE = "opstrace-integration"
TENANTS = {"team-a": "default", "team-b": "system"}  # by the page's map
SCRAPES = {"scrape_interval: 15s": "scrape_interval: 3s", "scrape_interval: 30s": "scrape_interval: 3s"}
APP_PORT, ADMIN_PORT = 8080, 9901
LINES = 10
BACK_SECONDS = 300  # until a node that restarted runs all pods


class App:
    """A pod that writes the path of each request as a line, and shows metrics."""

    def __init__(self, walk: UserSession, namespace: str) -> None:
        self._walk, self._namespace = walk, namespace
        apply(walk.shell, new_namespace(namespace), _app(namespace))

    @cached_property
    def _address(self) -> str:
        self._walk.kubectl("-n", self._namespace, "wait", "--for=condition=Ready", "pod/app", "--timeout=120s")
        return self._walk.kubectl("-n", self._namespace, "get", "pod", "app", "-o", "jsonpath={.status.podIP}")

    def write(self, *lines: str) -> None:
        run("curl", "-sf", "-m", "20", *(f"http://{self._address}:{APP_PORT}/{line}" for line in lines))


def _app(namespace: str) -> dict[str, Any]:
    listener = http_listener(APP_PORT, [answer()], log="%REQ(:PATH)%")
    probe = {"httpGet": {"path": "/ready", "port": ADMIN_PORT}, "periodSeconds": 1}
    spec = pod_spec("app", command_line(listener, admin_port=ADMIN_PORT), readinessProbe=probe)
    scraped = {"scrape": "true", "port": str(ADMIN_PORT), "path": "/stats/prometheus"}
    annotations = {f"prometheus.io/{name}": value for name, value in scraped.items()}
    return pod(namespace, "app", spec, annotations=annotations)


class Cluster:
    """The user's cluster, to which the page's files are applied with an overlay."""

    def __init__(self, walk: UserSession, folder: Path, integration: str, relay: Relay) -> None:
        self.walk, self.folder, self.id, self.relay = walk, folder, integration, relay
        self.apps: dict[str, App] = {}

    def apply(self) -> None:
        """Run the commands of the page that apply the files, for the overlay, and that make the Secret."""
        script = "".join(blocks(PAGE, SECTION, "sh"))
        assert "apply -k cluster" in script
        script = script.replace("apply -k cluster", "apply --server-side -k overlay")
        run("bash", "-euo", "pipefail", "-c", script, cwd=self.folder, env=self.walk.shell)

    def kubectl(self, *arguments: str) -> str:
        return self.walk.kubectl("-n", NAMESPACE, *arguments)

    def said(self) -> str:
        """Return the state of the collector's pods and the end of their logs."""
        pods = self.kubectl("get", "pods", "-o", "wide")
        words = ("kubectl", "-n", NAMESPACE, "logs", "-l", "app.kubernetes.io/part-of=opstrace", "--tail=20")
        logs = run(*words, env=self.walk.shell, check=False)
        return f"{pods}\n{logs.stdout}{logs.stderr}"

    def lines(self, namespace: str, tenant: str) -> list[str]:
        """Return the lines of the app of a namespace that this integration has sent to a tenant."""
        selector = f'{{service_name="app"}} | integration_id=`{self.id}` | k8s_namespace_name=`{namespace}`'
        return lines(self.walk, tenant, selector)

    def writes(self, mark: str) -> Callable[[], bool]:
        """Let each app write some lines; return whether all of them are in the tenant of the app's namespace."""
        marks = [f"{mark}-{number}" for number in range(LINES)]
        for namespace, app in self.apps.items():
            app.write(*(f"{namespace}/{one}" for one in marks))

        def have_arrived() -> bool:
            return all(
                {f"/{namespace}/{one}" for one in marks} <= {*self.lines(namespace, tenant)}
                for namespace, tenant in TENANTS.items()
            )

        return have_arrived


@pytest.fixture(scope="module")
def cluster(walk: UserSession, trusted_pair: str) -> Iterator[Cluster]:
    """The page's files and an overlay by the page, before anything is applied."""
    files = walk.folder / "cluster"
    files.mkdir()
    (files / "keypair.pem").symlink_to(trusted_pair)
    folder, printed = walk.follow(commands(PAGE, SECTION), files / "keypair.pem")
    manifests = folder / "cluster" / "collector.yaml"
    text = manifests.read_text().replace("scrape_timeout: 10s", "scrape_timeout: 3s")
    for shown, used in SCRAPES.items():
        text = text.replace(shown, used)
    manifests.write_text(text)
    host = Settings(SLOT, walk.folder).host_address
    _write_overlay(folder / "overlay", host)
    made = Cluster(walk, folder, printed.strip(), Relay(host, PORT))
    yield made
    walk.kubectl("delete", "-k", str(folder / "overlay"), "--ignore-not-found", "--wait=false")
    for namespace in made.apps:
        walk.kubectl("delete", "namespace", namespace, "--wait=false")
    made.relay.close()


@pytest.fixture(scope="module")
def filled(cluster: Cluster) -> Cluster:
    """The cluster with the collector of the page, and an app in each namespace."""
    cluster.apps = {namespace: App(cluster.walk, namespace) for namespace in TENANTS}
    cluster.apply()
    return cluster


def _write_overlay(folder: Path, host: str) -> None:
    """Write the overlay of the page, with the names of the gateway in place of the page's."""
    yaml = YAML(typ="safe")
    (shown,) = blocks(PAGE, SECTION, "yaml")
    overlay = yaml.load(shown)
    del overlay["images"]  # the nodes have the image
    (patch,) = overlay["patches"]
    (operation,) = yaml.load(patch["patch"])
    names = [f"{api}.{tenant}.{DOMAIN}" for api in ("cortex", "loki") for tenant in TENANTS.values()]
    patch["patch"] = json.dumps([operation | {"value": [{"ip": host, "hostnames": names}]}])
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(json.dumps(overlay))


def test_the_manifests_pass_a_dry_run_and_the_check_is_false_while_a_token_is_missing(cluster: Cluster) -> None:
    walk = cluster.walk
    walk.kubectl("create", "namespace", NAMESPACE)  # a dry run does not make that of the manifests
    overlay = str(cluster.folder / "overlay")
    tried = walk.kubectl("apply", "-k", overlay, "--server-side", "--dry-run=server")
    kinds = {line.split("/")[0].split(".")[0] for line in tried.splitlines()}
    assert kinds == {"namespace", "serviceaccount", "clusterrole", "clusterrolebinding", "configmap", "daemonset"}
    walk.kubectl("apply", "-k", overlay, "--server-side")
    cluster.kubectl("create", "secret", "generic", "opstrace-token", "--from-literal=default.jwt=x")  # of one tenant
    status, found = check(walk, "default", cluster.id, "--wait", "3")
    assert (status, found[-1]["name"]) == (1, "data"), found
    missing = "references non-existent secret key: system.jwt"
    eventually(lambda: missing in cluster.kubectl("describe", "pods"), detail=cluster.said)


def test_namespaces_of_the_cluster_fill_two_tenants(filled: Cluster) -> None:
    walk = filled.walk
    have_arrived = filled.writes("first")
    for namespace, tenant in TENANTS.items():
        status, found = check(walk, tenant, filled.id, "--data", "metrics", "--data", "logs", *WAIT)
        assert status == 0, (found, filled.said())

        def has_series(tenant: str = tenant, namespace: str = namespace) -> bool:
            own = f'{{integration_id="{filled.id}",namespace="{namespace}",pod="app"'
            return all(values(walk, tenant, f'count({own},job="{job}"}})')[:1] != [] for job in ("cadvisor", "pods"))

        eventually(has_series, detail=filled.said)
    eventually(have_arrived, detail=filled.said)
    for namespace, tenant in TENANTS.items():
        (other,) = {*TENANTS.values()} - {tenant}
        assert filled.lines(namespace, other) == []
        assert values(walk, other, f'{{integration_id="{filled.id}",namespace="{namespace}"}}') == []


def test_a_token_that_is_replaced_while_data_flows_loses_nothing(filled: Cluster, trusted_pair: str) -> None:
    arrived = [filled.writes("before")]
    ids = set()
    for tenant in TENANTS.values():
        options = ("--scope", "metrics:write,logs:write")
        token = filled.walk.opstrace("ta-create-token", INSTANCE, tenant, trusted_pair, *options).stdout
        file = filled.folder / "cluster" / f"{tenant}.kubernetes.jwt"
        file.write_text(token)
        ids.add(token_in(str(file)).text_of("jti"))
    filled.apply()
    arrived.append(filled.writes("replaced"))
    run("bash", "-c", "".join(blocks(PAGE, "Replace a token", "sh")), env=filled.walk.shell)
    arrived.append(filled.writes("restarted"))
    eventually(lambda: all(have_arrived() for have_arrived in arrived), detail=filled.said)
    eventually(lambda: ids <= {request["token_id"] for request in filled.walk.requests_logged()})


@pytest.mark.nightly
def test_what_a_killed_collector_could_not_send_arrives_when_the_gateway_is_back(filled: Cluster) -> None:
    filled.relay.cut()
    try:
        have_arrived = filled.writes("cut")
        failed = "connection reset by peer"
        eventually(lambda: failed in filled.kubectl("logs", "daemonset/node-collector", "--tail=200"))
        filled.kubectl("delete", "pods", "--all", "--grace-period=0", "--force")
        later = filled.writes("killed")
    finally:
        filled.relay.restore()
    eventually(lambda: have_arrived() and later(), 120, detail=filled.said)


@pytest.mark.nightly
def test_what_waits_on_a_node_that_restarts_arrives_when_it_is_back(filled: Cluster) -> None:
    walk = filled.walk
    filled.relay.cut()
    try:
        have_arrived = filled.writes("restart")
        queued = "connection reset by peer"
        eventually(lambda: queued in filled.kubectl("logs", "daemonset/node-collector", "--tail=200"))
        # A killed Envoy loses the lines that it has not yet written to its log.
        eventually(lambda: all(f"/restart-{LINES - 1}" in walk.kubectl("-n", name, "logs", "app") for name in TENANTS))
        stop_node()
    finally:
        filled.relay.restore()

    def answers() -> bool:
        paths = {"cortex": LABELS, "loki": "/loki/api/v1/labels"}
        asked = [
            (url(api, tenant, path), walk.token(tenant)) for api, path in paths.items() for tenant in TENANTS.values()
        ]
        return all(walk.curl(address, token=token)[0] == 200 for address, token in asked)

    eventually(answers, BACK_SECONDS, 2)
    eventually(have_arrived, BACK_SECONDS, 2, filled.said)


def test_the_check_tells_why_a_token_of_the_cluster_is_refused(cluster: Cluster) -> None:
    token = ("--token-file", str(cluster.folder / "cluster" / "system.kubernetes.jwt"), "--wait", "3")
    status, found = check(cluster.walk, "default", cluster.id, *token)
    assert (status, found[-1]["name"]) == (1, "token") and "unexpected tenant: system" in found[-1]["message"]
