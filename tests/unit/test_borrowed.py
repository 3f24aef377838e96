"""A cluster that the user names: how it is asked, what is remembered of it, and what is made of it in AWS."""

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner
from moto.server import ThreadedMotoServer

from components.config import from_settings
from localcloud import borrowed, cloud, lifecycle, ports
from localcloud.aws import account
from localcloud.errors import LocalCloudError
from localcloud.node.namespaces import require_root
from localcloud.settings import Borrowed, Settings, settings
from scripts.local import local
from tests.unit.given import settings as stack_settings

OURS = "127.0.0.77"  # an address of this machine that nothing else uses
ISSUER = "https://issuer.example"


def node(*addresses: str, ready: bool = True) -> dict[str, Any]:
    return {
        "status": {
            "addresses": [{"type": "InternalIP", "address": address} for address in addresses],
            "conditions": [{"type": "Ready", "status": str(ready)}],
        }
    }


class ApiServer(BaseHTTPRequestHandler):
    nodes: list[dict[str, Any]] = []
    status = 200

    def do_GET(self) -> None:
        answers = {"/api/v1/nodes": {"items": self.nodes}, borrowed.ISSUER_PATH: {"issuer": ISSUER}}
        body = json.dumps(answers[self.path]).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def api() -> Iterator[type[ApiServer]]:
    handler = type("Handler", (ApiServer,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        handler.port = server.server_port  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield handler
        server.shutdown()


@pytest.fixture
def kubeconfig(api: Any, tmp_path: Path) -> str:
    """A kubeconfig whose context `kind` is the API server, and whose `gone` is nobody."""

    def cluster(name: str, port: int) -> dict[str, Any]:
        return {"name": name, "cluster": {"server": f"http://127.0.0.1:{port}"}}

    names = ("kind", "gone")
    content = {
        "current-context": "gone",
        "clusters": [cluster("kind", api.port), cluster("gone", 1)],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "me"}} for name in names],
        "users": [{"name": "me", "user": {}}],
    }
    path = tmp_path / "config"
    path.write_text(json.dumps(content))
    return str(path)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of a cloud that has never run."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("OPSTRACE_LOCAL_SLOT", "9")
    settings().home.mkdir(parents=True)
    return settings()


CLUSTER = Borrowed("kind", "/home/me/config", "https://192.0.2.9:6443", ISSUER, ["172.18.0.2"], OURS)


def test_of_a_cluster_its_ready_nodes_its_issuer_and_the_way_to_them_are_found(api: Any, kubeconfig: str) -> None:
    api.nodes = [node("fd00::2", "172.18.0.3"), node("172.18.0.2"), node("172.18.0.4", ready=False), node("fd00::5")]
    found = borrowed.find("kind", kubeconfig, "192.0.2.1")
    assert found == Borrowed(
        "kind", kubeconfig, f"http://127.0.0.1:{api.port}", ISSUER, ["172.18.0.2", "172.18.0.3"], "192.0.2.1"
    )


def test_the_address_is_the_one_from_which_the_kernel_reaches_the_node() -> None:
    own = [
        entry.address
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if entry.family == socket.AF_INET and not entry.address.startswith("127.")
    ]
    assert own, "this test needs a network interface with an IPv4 address"
    # A node may run on this machine itself (k3s): it is then reached from its own address.
    assert [borrowed.local_address(address) for address in own] == own


@pytest.mark.parametrize(
    ("nodes", "status", "context", "address", "told"),
    [
        ([], 200, "nosuch", None, "the context nosuch is not in"),
        ([], 200, "gone", None, "the cluster of the context gone does not answer"),
        ([], 403, "kind", None, "nodes and /.well-known/openid-configuration must be readable"),
        ([], 401, "kind", None, "its credentials are not taken"),
        ([node("fd00::2"), node("172.18.0.2", ready=False)], 200, "kind", None, "no node of the cluster"),
        ([node(OURS)], 200, "kind", None, "cannot reach this machine at 127.0.0.1"),
        ([], 200, "kind", "0.0.0.0", "cannot reach this machine at 0.0.0.0"),
        ([], 200, "kind", "fd00::1", "'fd00::1' is no IPv4 address"),
        ([node("0.0.0.300")], 200, "kind", None, "no way to the cluster's node"),
    ],
)
def test_a_cluster_that_cannot_be_used_is_refused_in_one_sentence(
    api: Any, kubeconfig: str, nodes: list[Any], status: int, context: str, address: str | None, told: str
) -> None:
    api.nodes, api.status = nodes, status
    with pytest.raises(LocalCloudError) as caught:
        borrowed.find(context, kubeconfig, address)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_a_cluster_is_remembered_with_its_name_alone_and_forgotten_at_the_end(here: Settings) -> None:
    borrowed.remember(replace(here, borrowed=CLUSTER))
    again = settings()
    assert again.borrowed == CLUSTER and again.context == "kind"
    assert json.loads(again.kubeconfig.read_text()) == {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "kind",
    }
    assert again.kubeconfigs == f"{again.kubeconfig}:/home/me/config"
    (again.pulumi / "backend" / ".pulumi" / "stacks" / "opstrace").mkdir(parents=True)
    (again.pulumi / "backend" / ".pulumi" / "stacks" / "opstrace" / "showdown.json").touch()
    assert cloud.down() == cloud.Ended(["showdown"], "kind")
    assert settings().borrowed is None


def test_our_own_kubeconfig_is_not_taken_for_the_caller_s(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("KUBECONFIG", f"{here.kubeconfig}:/a:~/b")
    assert borrowed.kubeconfig(here) == "/a:/home/me/b"
    monkeypatch.setenv("KUBECONFIG", str(here.kubeconfig))
    assert borrowed.kubeconfig(here) == "/home/me/.kube/config"


@pytest.mark.parametrize(
    ("runs_with", "context", "address", "told"),
    [
        (CLUSTER, "other", None, "with the cluster of the context kind, not the context other"),
        (CLUSTER, "kind", "192.0.2.1", f"at the address {OURS}, not 192.0.2.1"),
        (None, "kind", None, "with a one-node cluster of its own, not the context kind"),
        (None, None, "192.0.2.1", "give --context too"),
    ],
)
def test_what_runs_is_not_taken_for_something_else(
    here: Settings,
    monkeypatch: pytest.MonkeyPatch,
    runs_with: Borrowed | None,
    context: str | None,
    address: str | None,
    told: str,
) -> None:
    if runs_with:
        borrowed.remember(replace(here, borrowed=runs_with))
    monkeypatch.setattr(lifecycle, "is_ready", lambda _: True)
    with pytest.raises(LocalCloudError, match=told):
        cloud.up(context, address)


def test_a_remembered_cluster_that_is_gone_says_how_it_is_forgotten(here: Settings, kubeconfig: str) -> None:
    borrowed.remember(
        replace(here, borrowed=replace(CLUSTER, context="gone", kubeconfig=kubeconfig, address="192.0.2.1"))
    )
    with pytest.raises(LocalCloudError, match=r"does not answer.*`\./opstrace local down` forgets this context"):
        cloud.up()


def test_an_address_that_is_not_this_machine_s_is_refused(here: Settings) -> None:
    with pytest.raises(LocalCloudError, match=r"192\.0\.2\.77 is no address of this machine"):
        ports.require_free(replace(here, borrowed=replace(CLUSTER, address="192.0.2.77")))


def test_a_port_below_1024_without_root_names_the_remedy() -> None:
    problem = ports._problem("192.0.2.1", 443, PermissionError(13, "Permission denied"))
    assert "sysctl -w net.ipv4.ip_unprivileged_port_start=443" in problem


def test_nodes_of_several_networks_are_targets_at_their_own_addresses(here: Settings) -> None:
    wanted = ["10.8.0.7", "172.18.0.2", "172.18.255.3"]
    there = replace(here, borrowed=replace(CLUSTER, node_addresses=wanted))
    server = ThreadedMotoServer(ip_address=OURS, port=5000)
    server.start()
    try:
        there.node.mkdir()
        made = account.create(there)
        (there.node / "account.json").write_text(json.dumps(made))
        group = account.client(there, "autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"][0]
        instances = [entry["InstanceId"] for entry in group["Instances"]]
        found = account.client(there, "ec2").describe_instances(InstanceIds=instances)["Reservations"]
    finally:
        server.stop()
    assert sorted(entry["Instances"][0]["PrivateIpAddress"] for entry in found) == wanted
    assert len(made["subnet_ids"]) == 2


def test_a_stack_on_the_user_s_cluster_finds_sts_by_host_aliases(here: Settings) -> None:
    there = replace(here, borrowed=CLUSTER)
    for folder in (there.node, there.pki):
        folder.mkdir()
    there.ca.write_text("a certificate")
    ids = account.Account("vpc-1", ["subnet-1"], "sg-1", ["nodes"], "arn")
    (there.node / "account.json").write_text(json.dumps(ids.__dict__))
    config = from_settings(stack_settings() | cloud.stack_settings(there), "showdown")
    assert config.cluster.context == "kind" and config.cluster.oidc_issuer == ISSUER
    assert config.cluster.storage_class is None  # the cluster's default one
    assert [alias.model_dump() for alias in config.cluster.host_aliases] == [
        {"ip": OURS, "hostnames": ["sts.us-west-2.amazonaws.com"]}
    ]
    assert config.aws.endpoints["s3"] == f"https://{OURS}"


def test_what_is_not_there_is_not_told_to_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    found = cloud.status()
    assert not found.running and found.network_policies_enforced is False and found.stand_ins is None


def test_without_root_the_alternatives_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(LocalCloudError, match=r"needs root on Linux.*kind, k3d and minikube.*--context NAME"):
        require_root()


def test_the_end_of_the_cloud_says_what_is_lost_and_how_it_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud, "down", lambda: cloud.Ended(["showdown", "showdown.team"], "kind"))
    said = CliRunner().invoke(local, ["down"]).stderr.replace("\n", " ")
    assert "Lost with it: all resources and data of showdown, showdown.team" in said
    assert "`./opstrace local up --context kind`, then `pulumi up --refresh`" in said
