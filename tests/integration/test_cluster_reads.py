"""What the preflight reads of a cluster, from a real API server."""

import base64
import tempfile
from pathlib import Path
from typing import Any

import pytest
import urllib3

from components.config.load import from_settings
from components.core.public_keys import canonical_pem, key_id
from localcloud import cloud
from localcloud.plugins.kubernetes.__main__ import Kubernetes
from localcloud.plugins.kubernetes.api import ApiError
from localcloud.plugins.provider import Call
from scripts.checks import cluster
from scripts.checks.account import find_identity_provider
from scripts.checks.subject import Account, Subject
from scripts.clients.aws import Clients
from scripts.clients.kubernetes import Cluster
from tests.support.bare_cloud import CONTEXT
from tests.support.factories import KEY
from tests.support.stack import Stack


def subject(stack: Stack, issuer: str | None = None) -> Subject:
    settings = cloud.stack_settings(stack.cloud.settings)
    described = settings["cluster"] | ({"oidcIssuer": issuer} if issuer else {})
    keys = {"publicKeys": {key_id(KEY): canonical_pem(KEY)}}
    more = {"cluster": described, "tenants": [{"name": "default"}], "dataApi": keys}
    config = from_settings(settings | more, "reads")
    environment = stack.environment
    return Subject("reads", config, Account(Clients(environment, config)), Cluster(environment, config))


def test_version_issuer_and_nodes_are_read(bare_stack: Stack) -> None:
    asked = subject(bare_stack)
    (version,) = cluster.find_version(asked)
    assert version.level == "ok" and version.message.startswith("Kubernetes v1.")
    (issuer,) = cluster.find_issuer(asked)
    assert (issuer.level, issuer.message) == ("ok", bare_stack.cloud.settings.oidc_issuer)
    assert asked.nodes == [] and asked.cluster.read("/nothing/here") is None
    (policies,) = cluster.find_policies(asked)
    assert policies.level == "warning"


def test_another_cluster_is_found_by_its_issuer(bare_stack: Stack) -> None:
    (issuer,) = cluster.find_issuer(subject(bare_stack, "https://oidc.example.com/id/OTHER"))
    assert issuer.level == "error" and bare_stack.cloud.settings.oidc_issuer in issuer.message


def test_the_identity_provider_of_the_embedded_cloud_is_sound(bare_stack: Stack) -> None:
    (provider,) = find_identity_provider(subject(bare_stack))
    assert provider.level == "ok"


def test_kinds_are_asked_anew_by_each_command(
    bare_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert subject(bare_stack).cluster.has_kind("apps/v1", "DaemonSet")
    assert not [*tmp_path.iterdir()], "a file of kinds would outlive a CustomResourceDefinition that is deleted"


def test_objects_of_a_kind_that_the_cluster_lacks_do_not_exist(bare_stack: Stack) -> None:
    bindings = subject(bare_stack).cluster
    assert not bindings.has_kind("elbv2.k8s.aws/v1beta1", "TargetGroupBinding")
    assert bindings.labels("elbv2.k8s.aws/v1beta1", "TargetGroupBinding", "gateway", "gateway") is None
    deleted = {"apiVersion": "none.example.com/v1", "kind": "None", "metadata": {"name": "gone"}}
    provider = Kubernetes()
    provider.configure({"kubeconfig": bare_stack.cloud.kubeconfig, "context": CONTEXT})
    provider.delete(Call("kubernetes:none.example.com/v1:None", "gone", "urn"), "gone", deleted)


def test_the_stand_in_repeats_the_api_servers_words_where_they_are_plain_text(bare_stack: Stack) -> None:
    with pytest.raises(ApiError, match=r"\A404 page not found\Z"):
        bare_stack.cloud.kubernetes.request("GET", "/apis/none.example.com/v1/things")


def test_an_object_is_found_without_what_it_holds(bare_stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    api, reader = bare_stack.cloud.kubernetes, subject(bare_stack).cluster
    api.request(
        "POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": "held"}, "stringData": {"a": "kept"}}
    )
    answers: list[bytes] = []
    request = urllib3.PoolManager.request

    def recorded(*arguments: Any, **options: Any) -> Any:
        answer = request(*arguments, **options)
        answers.append(answer.data)
        return answer

    monkeypatch.setattr(urllib3.PoolManager, "request", recorded)
    assert reader.has_object("secrets", "held", "default") and reader.has_object("namespaces", "default")
    assert not reader.has_object("secrets", "other", "default") and not reader.has_object("namespaces", "other")
    assert any(b"PartialObjectMetadata" in answer for answer in answers)
    assert not any(base64.b64encode(b"kept") in answer for answer in answers)
    api.request("DELETE", "/api/v1/namespaces/default/secrets/held")
