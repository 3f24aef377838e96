"""Digests of images: read from a registry, written by the pin tool, and used only by an instance on AWS."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from components.core import images as image_versions
from localcloud.toolchain.pin import pin
from localcloud.toolchain.registry import HUB, MANIFEST_TYPES, Reference, digest
from localcloud.toolchain.sources import UnavailableError
from tests.support.factories import settings
from tests.support.ports import free_port
from tests.support.pulumi_mocks import declared

INDEX = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST_TYPES[0], "manifests": []}).encode()
DIGEST = f"sha256:{hashlib.sha256(INDEX).hexdigest()}"
PATH = "/v2/grafana/loki/manifests/3.7.8"


class Registry:
    """A registry with one image, which issues tokens to everybody, as the public ones do."""

    def __init__(self, server: HTTPServer) -> None:
        self._server = server
        self.name = f"127.0.0.1:{server.port}/grafana/loki"
        self.realm = server.url_for("/token")
        self.header: str | None = DIGEST
        server.expect_request(re.compile("")).respond_with_handler(self._answer)

    @property
    def requests(self) -> list[str]:
        """The requests so far, as method and path with query."""
        return [f"{request.method} {request.full_path.removesuffix('?')}" for request, _ in self._server.log]

    def _answer(self, request: Request) -> Response:
        if request.path == "/token":
            return Response(json.dumps({"token": "good"}))
        if request.headers.get("Authorization") != "Bearer good":
            challenge = f'Bearer realm="{self.realm}",service="the registry",scope="repository:grafana/loki:pull"'
            return Response(status=401, headers={"WWW-Authenticate": challenge})
        if request.path != PATH:
            return Response(status=404)
        if MANIFEST_TYPES[0] not in request.headers["Accept"]:
            return Response("{}", headers={"Docker-Content-Digest": f"sha256:{'0' * 64}"})  # of one platform
        return Response(INDEX, headers={"Docker-Content-Digest": self.header} if self.header else {})


@pytest.fixture
def registry(httpserver: HTTPServer) -> Registry:
    return Registry(httpserver)


def test_the_digest_of_the_index_is_read_with_a_token(registry: Registry) -> None:
    assert digest(f"{registry.name}:3.7.8") == DIGEST
    token = "GET /token?scope=repository%3Agrafana%2Floki%3Apull&service=the+registry"
    assert registry.requests == [f"HEAD {PATH}", token, f"HEAD {PATH}"]


def test_a_registry_that_names_no_digest_has_its_manifest_hashed(registry: Registry) -> None:
    registry.header = None
    assert digest(f"{registry.name}:3.7.8") == DIGEST
    assert registry.requests[-1] == f"GET {PATH}"


def test_an_answer_that_is_no_digest_is_refused(registry: Registry) -> None:
    registry.header = "sha256:../../etc"
    with pytest.raises(UnavailableError, match="which is no SHA-256 digest"):
        digest(f"{registry.name}:3.7.8")


def test_a_token_is_not_requested_over_another_scheme(registry: Registry) -> None:
    registry.realm = "ftp://127.0.0.1/token"
    with pytest.raises(UnavailableError, match="names no http token service"):
        digest(f"{registry.name}:3.7.8")


def test_images_are_pinned_all_or_none_with_every_reason(registry: Registry, tmp_path: Path) -> None:
    file, image = tmp_path / "image_digests.json", f"{registry.name}:3.7.8"
    nowhere = f"127.0.0.1:{free_port()}/grafana/loki:1"
    problems = pin([image, f"{registry.name}:none", nowhere], digest, file)
    assert len(problems) == 2 and "answered 404" in problems[0] and "cannot be reached" in problems[1]
    assert not file.exists()
    assert pin([image], digest, file) == [] and json.loads(file.read_text()) == {image: DIGEST}


def test_each_image_has_a_place_in_a_registry() -> None:
    references = [Reference.parsed(image) for image in image_versions.IMAGES]
    assert [(each.registry, each.scheme) for each in references] == [
        ("quay.io", "https"),
        *[(HUB, "https")] * 3,
    ]
    assert references[1].manifest == f"https://{HUB}/v2/grafana/loki/manifests/3.7.8"
    for image in ("loki:3", "grafana/loki:3", "docker.io/grafana/loki", "docker.io/grafana/../x y:3"):
        with pytest.raises(ValueError, match="is no full name of an image"):
            Reference.parsed(image)


def test_the_committed_file_holds_digests_of_images_in_use_alone() -> None:
    assert {*image_versions.DIGESTS} <= {*image_versions.IMAGES}
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", each) for each in image_versions.DIGESTS.values())


def images(stack: dict[str, Any]) -> set[str]:
    """Return the images of all pods of an instance with these settings, one of its tenants with an Alertmanager."""
    tenants = [{"name": "default", "alertmanager": {"enabled": True}}]
    cluster = stack["cluster"] | {"enforcesNetworkPolicies": True}
    specs = [resource.inputs.get("spec") for resource in declared(stack | {"tenants": tenants, "cluster": cluster})]
    pods = [spec["template"]["spec"] for spec in specs if isinstance(spec, dict) and "template" in spec]
    assert len(pods) == 8  # the gateway, two back ends of each of two tenants, one Alertmanager, two collectors
    return {entry["image"] for pod in pods for entry in pod["containers"]}


def test_an_instance_on_aws_runs_the_pinned_digests_and_the_local_cloud_its_own_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(image_versions, "DIGESTS", dict.fromkeys(image_versions.IMAGES, DIGEST))
    assert images(settings()) == {f"{image}@{DIGEST}" for image in image_versions.IMAGES}
    assert images(settings(domain="opstrace.localhost")) == {*image_versions.IMAGES}


def test_an_image_without_a_pinned_digest_is_named_by_its_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_versions, "DIGESTS", {image_versions.LOKI_IMAGE: DIGEST})
    others = [image for image in image_versions.IMAGES if image != image_versions.LOKI_IMAGE]
    assert images(settings()) == {*others, f"{image_versions.LOKI_IMAGE}@{DIGEST}"}
    assert image_versions.PUBLIC.without_digest() == others
