"""How the client learns the API's kinds: from the cluster alone, in few requests, and from no file that others can write."""

import hashlib
import json
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from scripts.clients.kubernetes import Cluster

GROUPS = ("apps", "autoscaling", "batch", "policy", "storage.k8s.io")
NAMESPACE = {"name": "namespaces", "namespaced": False, "kind": "Namespace", "verbs": ["get"]}
SETS = {"name": "statefulsets", "namespaced": True, "kind": "StatefulSet", "verbs": ["get"]}
OBJECT = {"metadata": {"name": "opstrace"}}


class Api:
    """A server that answers as an API server does, and the paths that were asked."""

    def __init__(self, server: HTTPServer, folder: Path) -> None:
        self.server, self._folder = server, folder
        versions = [{"groupVersion": f"{group}/v1", "version": "v1"} for group in GROUPS]
        groups = [
            {"name": group, "versions": [version], "preferredVersion": version}
            for group, version in zip(GROUPS, versions, strict=True)
        ]
        for path, answer in {
            "/version": {"gitVersion": "v1.34.0"},
            "/apis": {"kind": "APIGroupList", "groups": groups},
            "/api/v1": {"kind": "APIResourceList", "resources": [NAMESPACE]},
            "/apis/apps/v1": {"kind": "APIResourceList", "resources": [SETS]},
            "/api/v1/namespaces/opstrace": {"kind": "Namespace", "apiVersion": "v1", **OBJECT},
            "/apis/apps/v1/namespaces/a/statefulsets/opstrace": {
                "kind": "StatefulSet",
                "apiVersion": "apps/v1",
                **OBJECT,
            },
        }.items():
            server.expect_request(path).respond_with_json(answer)

    @property
    def asked(self) -> list[str]:
        return [request.path for request, _ in self.server.log]

    def cluster(self) -> Cluster:
        """Return the client of a new process."""
        named = {
            "clusters": {"server": self.server.url_for("")},
            "users": {},
            "contexts": {"cluster": "c", "user": "c"},
        }
        lists = {kind: [{"name": "c", kind[:-1]: value}] for kind, value in named.items()}
        path = self._folder / "kubeconfig"
        path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "c", **lists}))
        config: Any = SimpleNamespace(cluster=SimpleNamespace(context="c"))
        return Cluster({"KUBECONFIG": str(path)}, config)


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files that all users of the machine share."""
    folder = tmp_path / "shared"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def api(httpserver: HTTPServer, tmp_path: Path) -> Api:
    return Api(httpserver, tmp_path)


def read(cluster: Cluster) -> None:
    """Read an object of the core group and one of another group, as `status` does."""
    for found in (cluster.get("v1", "Namespace", "opstrace"), cluster.get("apps/v1", "StatefulSet", "opstrace", "a")):
        assert found and found["metadata"]["name"] == "opstrace"


def test_kinds_take_two_requests_and_one_for_each_group_that_is_used(api: Api, shared: Path) -> None:
    cluster = api.cluster()
    read(cluster)
    kinds = [path for path in api.asked if not path.endswith("/opstrace")]
    assert sorted(kinds) == ["/api/v1", "/apis", "/apis/apps/v1", "/version"]
    read(cluster)
    assert len(api.asked) == len(kinds) + 4


def test_no_file_keeps_the_kinds(api: Api, shared: Path) -> None:
    for _ in range(2):
        read(api.cluster())
    assert [*shared.iterdir()] == [] and api.asked.count("/api/v1") == 2


@pytest.mark.parametrize("content", ["no JSON", "{}", json.dumps({"library_version": "1", "resources": {}})])
def test_a_file_that_another_user_put_there_is_not_read(api: Api, shared: Path, content: str) -> None:
    """Its name follows from the cluster's address."""
    address = api.server.url_for("").rstrip("/")
    name = hashlib.md5(address.encode(), usedforsecurity=False).hexdigest()
    planted = shared / f"osrcp-{name}.json"
    planted.write_text(content)
    read(api.cluster())
    assert planted.read_text() == content
