"""The cluster of the context must be the one of the stack file, and must have IPv4 addresses."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from components.config.load import from_settings
from components.core.errors import UserError
from components.core.names import GATEWAY_NAMESPACE
from scripts.clients.kubernetes import ISSUER_PATH, Cluster
from scripts.clients.preflight import require_cluster
from tests.support.factories import CLUSTER, settings

ISSUER = "https://oidc.eks.us-west-2.amazonaws.com/id/ONE"
SERVICE = "/api/v1/namespaces/default/services/kubernetes"
KINDS = [{"name": "namespaces", "kind": "Namespace", "namespaced": False}]
KINDS += [{"name": "services", "kind": "Service", "namespaced": True}]


class ApiServer:
    """A cluster's API server with the Service `kubernetes` and a token issuer; `status` is of the issuer's document."""

    def __init__(self, server: HTTPServer) -> None:
        self.issuer, self.status, self.addresses = ISSUER, 200, ["10.100.0.1"]
        self.url = server.url_for("")
        server.expect_request(f"/api/v1/namespaces/{GATEWAY_NAMESPACE}").respond_with_data("{}", 404)
        for path in ("/version", "/api", "/apis", "/api/v1", ISSUER_PATH, SERVICE):
            server.expect_request(path).respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        if request.path == ISSUER_PATH:
            return self._json({"issuer": self.issuer}, self.status)
        answers: dict[str, Any] = {
            "/version": {"gitVersion": "v1.34.0"},
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            "/apis": {"kind": "APIGroupList", "groups": []},
            "/api/v1": {"kind": "APIResourceList", "resources": [kind | {"verbs": ["get"]} for kind in KINDS]},
        }
        answers[SERVICE] = {"kind": "Service", "metadata": {}, "spec": {"clusterIPs": self.addresses}}
        return self._json(answers[request.path])

    @staticmethod
    def _json(content: Any, status: int = 200) -> Response:
        return Response(json.dumps(content), status, content_type="application/json")


@pytest.fixture
def api(httpserver: HTTPServer) -> ApiServer:
    return ApiServer(httpserver)


@pytest.fixture
def cluster(api: ApiServer, tmp_path: Path) -> Cluster:
    kubeconfig = {
        "clusters": [{"name": "c", "cluster": {"server": api.url}}],
        "contexts": [{"name": "observability", "context": {"cluster": "c", "user": "me"}}],
        "users": [{"name": "me", "user": {}}],
    }
    path = tmp_path / "config"
    path.write_text(json.dumps(kubeconfig))
    config = from_settings(settings(cluster=CLUSTER | {"oidcIssuer": ISSUER}), "showdown")
    return Cluster({"KUBECONFIG": str(path)}, config)


@pytest.mark.parametrize("issuer", [ISSUER, f"{ISSUER}/"])
def test_the_stack_file_s_own_cluster_is_taken(api: ApiServer, cluster: Cluster, issuer: str) -> None:
    api.issuer = issuer
    require_cluster(cluster, "showdown")


def test_addresses_of_both_families_are_taken(api: ApiServer, cluster: Cluster) -> None:
    api.addresses = ["fd00::1", "10.100.0.1"]
    require_cluster(cluster, "showdown")


class Refused(NamedTuple):
    """What an API server has, and the parts of the error."""

    issuer: str
    status: int
    addresses: list[str]
    parts: tuple[str, ...]


@pytest.mark.parametrize(
    "case",
    [
        Refused(
            "https://oidc.eks.us-west-2.amazonaws.com/id/OTHER",
            200,
            ["10.100.0.1"],
            (
                "the context observability issues tokens as",
                "id/OTHER",
                f"oidcIssuer is {ISSUER}",
                "opstrace:cluster.context",
            ),
        ),
        Refused(ISSUER, 403, ["10.100.0.1"], ("refuses access", f"get --raw {ISSUER_PATH}")),
        Refused(ISSUER, 404, ["10.100.0.1"], ("does not tell the issuer", ISSUER_PATH)),
        Refused(ISSUER, 200, ["fd00::1"], ("IPv6 addresses only", "fd00::1", "ipFamily: ipv4")),
    ],
)
def test_another_cluster_is_refused_before_anything_changes(api: ApiServer, cluster: Cluster, case: Refused) -> None:
    api.issuer, api.status, api.addresses, parts = case
    with pytest.raises(UserError) as refused:
        require_cluster(cluster, "showdown")
    assert [part for part in parts if part not in str(refused.value)] == []
