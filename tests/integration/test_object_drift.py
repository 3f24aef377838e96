"""Kubernetes objects that somebody changed by hand: whose fields an update takes back, and which it refuses.

The rules are the official plugin's (provider/pkg/await/await.go, `patchForce` and `fixCSAFieldManagers`).
"""

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from components.core.names import GATEWAY_NAMESPACE
from localcloud.plugins.kubernetes.__main__ import Kubernetes
from localcloud.plugins.provider import Call, ProviderError
from tests.support.bare_cloud import CONTEXT
from tests.support.polling import eventually
from tests.support.stack import INSTANCE, Stack

NAMESPACE = "drift"
TYPE = "kubernetes:apps/v1:Deployment"
CALL = Call(TYPE, "main", f"urn:pulumi:x::x::{TYPE}::main")
FORCE = {"pulumi.com/patchForce": "true"}
CONFLICT = r'field conflict detected.*\n.*conflict with "kubectl" with subresource "scale".*\.spec\.replicas'
numbers = itertools.count()


def deployment(name: str, image: str = "one", **annotations: str) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "main", "image": image, "env": [{"name": "A", "value": "1"}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE, "annotations": annotations},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


class Drift:
    """A Deployment that a provider created, and kubectl in the hands of a person."""

    def __init__(self, stack: Stack, name: str) -> None:
        self._stack, self._name = stack, name
        self.inputs = deployment(name)
        self.identity, self.state = self.provider().create(CALL, self.inputs)

    def provider(self, **options: Any) -> Kubernetes:
        provider = Kubernetes()
        provider.configure({"kubeconfig": self._stack.cloud.kubeconfig, "context": CONTEXT, **options})
        return provider

    def update(self, new: dict[str, Any], **options: Any) -> None:
        self.provider(**options).update(CALL, self.identity, self.state, self.inputs, new)

    def kubectl(self, *arguments: str) -> str:
        return self._stack.run("kubectl", "-n", NAMESPACE, *arguments).stdout

    def scale(self) -> None:
        self.kubectl("scale", f"deployment/{self._name}", "--replicas=2")

    def live(self) -> tuple[int, str]:
        """Return the live replicas and image."""
        spec = json.loads(self.kubectl("get", "deployment", self._name, "-o", "json"))["spec"]
        return spec["replicas"], spec["template"]["spec"]["containers"][0]["image"]


@pytest.fixture(scope="module")
def namespace(bare_stack: Stack) -> Iterator[Stack]:
    api = bare_stack.cloud.kubernetes
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    account = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default"
    eventually(lambda: api.get(account) is not None, 60, 0.1)
    yield bare_stack
    api.delete(f"/api/v1/namespaces/{NAMESPACE}")


@pytest.fixture
def drift(namespace: Stack) -> Drift:
    return Drift(namespace, f"main{next(numbers)}")


def test_an_update_refuses_to_change_what_kubectl_scale_owns(drift: Drift) -> None:
    drift.scale()
    new = deployment(drift.inputs["metadata"]["name"], "two")
    with pytest.raises(ProviderError, match=CONFLICT):
        drift.update(new)
    assert drift.live() == (2, "one")


def test_a_preview_refuses_it_too(drift: Drift) -> None:
    drift.scale()
    with pytest.raises(ProviderError, match=CONFLICT):
        drift.provider().preview(CALL, drift.inputs, drift.state)
    forced = drift.provider(enablePatchForce="true").preview(CALL, drift.inputs, drift.state)
    assert forced["spec"]["replicas"] == 1


def test_an_annotation_or_the_provider_forces_the_update(drift: Drift) -> None:
    drift.scale()
    drift.update(deployment(drift.inputs["metadata"]["name"], "two", **FORCE))
    assert drift.live() == (1, "two")
    drift.scale()
    drift.update(drift.inputs, enablePatchForce="true")
    assert drift.live() == (1, "one")


@pytest.mark.parametrize(
    "edit",
    [
        lambda drift, name: drift.kubectl("set", "image", f"deployment/{name}", "main=edited"),
        lambda drift, name: drift.kubectl("patch", "deployment", name, "-p", '{"spec":{"replicas":2}}'),
    ],
    ids=["set image", "patch"],
)
def test_an_update_takes_over_edits_by_kubectl(drift: Drift, edit: Callable[[Drift, str], str]) -> None:
    name = drift.inputs["metadata"]["name"]
    edit(drift, name)
    assert drift.live() != (1, "one")
    drift.update(deployment(name))
    assert drift.live() == (1, "one")
    # The provider owns the fields now, and removes the ones that it no longer declares.
    fewer = deployment(name)
    del fewer["spec"]["template"]["spec"]["containers"][0]["env"]
    drift.update(fewer)
    assert drift.kubectl("get", "deployment", name, "-o", "jsonpath={.spec.template.spec.containers[0].env}") == ""


def test_the_program_heals_what_kubectl_scaled_and_edited(bare_stack: Stack) -> None:
    bare_stack.uninterrupted("create")
    try:
        # Not to 0, which the API server records as nobody's field.
        bare_stack.run("kubectl", "-n", "default-tenant", "scale", "statefulset/cortex", "--replicas=2")
        bare_stack.run("kubectl", "-n", GATEWAY_NAMESPACE, "set", "image", "deployment/gateway", "envoy=none")
        assert not bare_stack.is_as_declared()
        command = ["up", "--refresh", "--yes", "--skip-preview", "--stack", INSTANCE]
        bare_stack.run("pulumi", "--non-interactive", *command)
        assert bare_stack.is_as_declared()
    finally:
        bare_stack.uninterrupted("destroy")
