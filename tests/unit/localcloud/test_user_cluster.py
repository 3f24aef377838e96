"""A cluster that the user names: how it is inspected and recorded, and the content of the AWS account for it."""

import ipaddress
import json
import re
import socket
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import psutil
import pytest
from moto.server import ThreadedMotoServer
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from components.config.load import from_settings
from localcloud import cloud, free_ports, lifecycle, user_cluster
from localcloud.errors import LocalCloudError
from localcloud.moto import account
from localcloud.moto.authorization import credentials
from localcloud.node.namespaces import require_root
from localcloud.settings import Settings, UserCluster, settings_from_environment
from scripts.cli.local import local
from tests.support.contexts import FakeContext, invoke
from tests.support.factories import settings as stack_settings

OURS = "127.0.0.77"  # an address of this machine that no other program uses
ISSUER = "https://issuer.example"
UNSPECIFIED = str(ipaddress.IPv4Address(0))
KEYS = [{"kty": "RSA", "kid": "first", "n": "x", "e": "AQAB"}]


def node(*addresses: str, ready: bool = True) -> dict[str, Any]:
    return {
        "status": {
            "addresses": [{"type": "InternalIP", "address": address} for address in addresses],
            "conditions": [{"type": "Ready", "status": str(ready)}],
        }
    }


class ApiServer:
    """A cluster's API server that answers every request with `status`."""

    def __init__(self, server: HTTPServer) -> None:
        self.port = server.port
        self.nodes: list[dict[str, Any]] = []
        self.status = 200
        server.expect_request(re.compile("")).respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        answers = {
            "/api/v1/nodes": {"items": self.nodes},
            user_cluster.ISSUER_PATH: {"issuer": ISSUER},
            user_cluster.KEYS_PATH: {"keys": KEYS},
        }
        return Response(json.dumps(answers[request.path]), self.status, content_type="application/json")


@pytest.fixture
def api(httpserver: HTTPServer) -> ApiServer:
    return ApiServer(httpserver)


@pytest.fixture
def kubeconfig(api: Any, tmp_path: Path) -> str:
    """A kubeconfig whose context `kind` is the API server, and whose context `gone` has no server."""

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
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of a cloud that has never run."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("OPSTRACE_LOCAL_SLOT", "9")
    settings_from_environment().home.mkdir(parents=True)
    return settings_from_environment()


CLUSTER = UserCluster("kind", "/home/me/config", "https://192.0.2.9:6443", ISSUER, ["172.18.0.2"], OURS)


def test_a_cluster_is_found_with_its_ready_nodes_its_issuer_and_their_addresses(api: Any, kubeconfig: str) -> None:
    api.nodes = [node("fd00::2", "172.18.0.3"), node("172.18.0.2"), node("172.18.0.4", ready=False), node("fd00::5")]
    cluster = user_cluster.find("kind", kubeconfig, "192.0.2.1")
    assert cluster == UserCluster(
        "kind", kubeconfig, f"http://127.0.0.1:{api.port}", ISSUER, ["172.18.0.2", "172.18.0.3"], "192.0.2.1", KEYS
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
    assert [user_cluster.local_address(address) for address in own] == own


class Unusable(NamedTuple):
    """An API server's nodes and status, the user's request, and a part of the error."""

    nodes: list[Any]
    status: int
    context: str
    address: str | None
    message: str


@pytest.mark.parametrize(
    "case",
    [
        Unusable([], 200, "nosuch", None, "the context nosuch is not in"),
        Unusable([], 200, "gone", None, "the cluster of the context gone does not answer"),
        Unusable(
            [],
            403,
            "kind",
            None,
            "you need read access to nodes, /.well-known/openid-configuration and /openid/v1/jwks",
        ),
        Unusable([], 401, "kind", None, "it does not accept the credentials of the context"),
        Unusable([node("fd00::2"), node("172.18.0.2", ready=False)], 200, "kind", None, "no node of the cluster"),
        Unusable([node(OURS)], 200, "kind", None, "cannot reach this machine at 127.0.0.1"),
        Unusable([], 200, "kind", UNSPECIFIED, "cannot reach this machine at 0.0.0.0"),
        Unusable([], 200, "kind", "fd00::1", "'fd00::1' is no IPv4 address"),
        Unusable([node("0.0.0.300")], 200, "kind", None, "no route to the cluster's node"),
    ],
)
def test_a_cluster_that_cannot_be_used_is_refused_in_one_sentence(api: Any, kubeconfig: str, case: Unusable) -> None:
    api.nodes, api.status = case.nodes, case.status
    with pytest.raises(LocalCloudError) as caught:
        user_cluster.find(case.context, kubeconfig, case.address)
    assert case.message in str(caught.value) and "\n" not in str(caught.value)


def test_a_cluster_is_recorded_by_its_name_and_forgotten_at_the_end(settings: Settings) -> None:
    user_cluster.remember(replace(settings, user_cluster=CLUSTER))
    again = settings_from_environment()
    assert again.user_cluster == CLUSTER and again.context == "kind"
    assert json.loads(again.kubeconfig.read_text()) == {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "kind",
    }
    assert again.kubeconfigs == f"{again.kubeconfig}:/home/me/config"
    (again.pulumi / "backend" / ".pulumi" / "stacks" / "opstrace").mkdir(parents=True)
    (again.pulumi / "backend" / ".pulumi" / "stacks" / "opstrace" / "showdown.json").touch()
    assert cloud.down() == cloud.Ended(["showdown"], "kind")
    assert settings_from_environment().user_cluster is None


def test_the_cloud_s_own_kubeconfig_is_no_part_of_the_user_s(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("KUBECONFIG", f"{settings.kubeconfig}:/a:~/b")
    assert user_cluster.kubeconfig(settings) == "/a:/home/me/b"
    monkeypatch.setenv("KUBECONFIG", str(settings.kubeconfig))
    assert user_cluster.kubeconfig(settings) == "/home/me/.kube/config"


@pytest.mark.parametrize(
    ("recorded", "arguments", "message"),
    [
        (CLUSTER, ("other", None), "with the cluster of the context kind, not the context other"),
        (CLUSTER, ("kind", "192.0.2.1"), f"at the address {OURS}, not 192.0.2.1"),
        (None, ("kind", None), "with a one-node cluster of its own, not the context kind"),
        (None, (None, "192.0.2.1"), "--address 192.0.2.1 needs --context"),
    ],
)
def test_a_cloud_that_runs_is_not_used_as_another_one(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    recorded: UserCluster | None,
    arguments: tuple[str | None, str | None],
    message: str,
) -> None:
    if recorded:
        user_cluster.remember(replace(settings, user_cluster=recorded))
    monkeypatch.setattr(lifecycle, "is_ready", lambda _: True)
    with pytest.raises(LocalCloudError, match=message):
        cloud.up(*arguments)


def test_the_error_for_a_recorded_cluster_that_is_gone_says_how_to_forget_it(
    settings: Settings, kubeconfig: str
) -> None:
    user_cluster.remember(
        replace(settings, user_cluster=replace(CLUSTER, context="gone", kubeconfig=kubeconfig, address="192.0.2.1"))
    )
    with pytest.raises(LocalCloudError, match=r"does not answer.*`\./opstrace local down` forgets this context"):
        cloud.up()


def test_an_address_of_another_machine_is_refused(settings: Settings) -> None:
    with pytest.raises(LocalCloudError, match=r"192\.0\.2\.77 is no address of this machine"):
        free_ports.require_free(replace(settings, user_cluster=replace(CLUSTER, address="192.0.2.77")))


def test_a_port_below_1024_without_root_names_the_remedy() -> None:
    problem = free_ports._problem("192.0.2.1", 443, PermissionError(13, "Permission denied"))
    assert "sysctl -w net.ipv4.ip_unprivileged_port_start=443" in problem


def test_nodes_of_several_networks_are_targets_at_their_own_addresses(settings: Settings) -> None:
    addresses = ["10.8.0.7", "172.18.0.2", "172.18.255.3"]
    on_cluster = replace(settings, user_cluster=replace(CLUSTER, node_addresses=addresses))
    server = ThreadedMotoServer(ip_address=OURS, port=5000)
    server.start()
    try:
        on_cluster.node.mkdir()
        credentials.draw(on_cluster)
        created = account.create(on_cluster)
        (on_cluster.node / "account.json").write_text(json.dumps(created))
        group = account.client(on_cluster, "autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"][0]
        instances = [entry["InstanceId"] for entry in group["Instances"]]
        reservations = account.client(on_cluster, "ec2").describe_instances(InstanceIds=instances)["Reservations"]
    finally:
        server.stop()
    assert sorted(entry["Instances"][0]["PrivateIpAddress"] for entry in reservations) == addresses
    assert len(created["subnet_ids"]) == 2


def test_a_stack_on_the_user_s_cluster_finds_sts_by_host_aliases(settings: Settings) -> None:
    on_cluster = replace(settings, user_cluster=CLUSTER)
    for folder in (on_cluster.node, on_cluster.pki):
        folder.mkdir()
    on_cluster.ca.write_text("a certificate")
    provider = "arn:aws:iam::123456789012:oidc-provider/issuer"
    ids = account.Account("vpc-1", ["subnet-1"], "sg-1", ["nodes"], provider)
    (on_cluster.node / "account.json").write_text(json.dumps(ids.__dict__))
    config = from_settings(stack_settings() | cloud.stack_settings(on_cluster), "showdown")
    assert config.cluster.context == "kind" and config.cluster.oidc_issuer == ISSUER
    assert config.cluster.storage_class is None  # the cluster's default one
    assert [alias.model_dump() for alias in config.cluster.host_aliases] == [
        {"ip": OURS, "hostnames": ["sts.us-west-2.amazonaws.com"]}
    ]
    assert config.aws.endpoints["s3"] == f"https://{OURS}"


def test_the_status_before_the_first_start_is_that_nothing_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    status = cloud.status()
    assert not status.running and status.network_policies_enforced is False and status.stand_ins is None


def test_the_error_without_root_names_the_alternatives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(LocalCloudError, match=r"needs root on Linux.*kind, k3d and minikube.*--context NAME"):
        require_root()


def test_the_end_of_the_cloud_says_what_is_lost_and_how_to_restore_it() -> None:
    ending = SimpleNamespace(down=lambda: cloud.Ended(["showdown", "showdown.team"], "kind"))
    printed = invoke(FakeContext(Path("nowhere"), cloud=ending), local, "down").stderr.replace("\n", " ")
    assert "Lost with it: all resources and data of showdown, showdown.team" in printed
    assert "`./opstrace local up --context kind`, then `pulumi up --refresh`" in printed
