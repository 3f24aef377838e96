"""How plugins wait: until a condition is true, the time is up, or the engine asks to stop."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from components.core.tags import SKIP_AWAIT_ANNOTATION
from localcloud.plugins import provider
from localcloud.plugins.aws.__main__ import Aws
from localcloud.plugins.aws.api import ResourceType
from localcloud.plugins.aws.resource_types import TYPES
from localcloud.plugins.kubernetes import endpoints as endpoints_module
from localcloud.plugins.kubernetes import readiness
from localcloud.plugins.kubernetes.readiness import await_gone, await_ready
from localcloud.plugins.provider import Call, ProviderError

TYPE = "aws:made/up:Type"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(provider, "POLL_SECONDS", 0.02)
    yield
    provider.cancelled.clear()


class Api:
    """An API server with one object: each answer has the next of its states, and then the last state again."""

    def __init__(self, *states: dict[str, Any] | None) -> None:
        self.states, self.asked = [*states], 0

    def get(self, path: str) -> dict[str, Any] | None:
        self.asked += 1
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def list(self, path: str, **query: str) -> list[dict[str, Any]]:
        return []


def stateful_set(ready: int, annotations: dict[str, str] | None = None, **status: Any) -> dict[str, Any]:
    return {
        "kind": "StatefulSet",
        "metadata": {"name": "x", "namespace": "n", "uid": "1", "annotations": annotations or {}},
        "spec": {"replicas": 1},
        "status": {"readyReplicas": ready, "replicas": 1, "currentReplicas": 1, **status},
    }


def service(**spec: Any) -> dict[str, Any]:
    metadata = {"name": "x", "namespace": "n", "annotations": spec.pop("annotations", {})}
    return {"kind": "Service", "metadata": metadata, "spec": {"selector": {"a": "b"}, **spec}}


def endpoints(version: str, **subset: Any) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": version}, "subsets": [subset]}


class ServiceApi(Api):
    """An API server with one Service; its endpoints are the states."""

    def __init__(self, service: dict[str, Any], *states: dict[str, Any] | None) -> None:
        super().__init__(*states)
        self.service = service

    def get(self, path: str) -> dict[str, Any] | None:
        if path == "/service":
            return self.service
        assert path == "/api/v1/namespaces/n/endpoints/x"
        return super().get(path)


def test_an_object_is_read_until_it_is_ready() -> None:
    api: Any = Api(stateful_set(0), stateful_set(0), stateful_set(1))
    assert await_ready(api, "/x", 5) == (stateful_set(1), [])
    assert api.asked == 3


def test_an_object_that_is_ready_is_read_once() -> None:
    api: Any = Api(stateful_set(1))
    assert await_ready(api, "/x", 5)[1] == []
    assert api.asked == 1


def test_an_object_that_is_not_ready_in_time_says_why() -> None:
    api: Any = Api(stateful_set(0))
    assert await_ready(api, "/x", 0.1) == (stateful_set(0), ["not ready in time: 0 of 1 pods are new and ready"])


@pytest.mark.parametrize(
    "status",
    [{"replicas": 2}, {"currentReplicas": 0}, {"currentRevision": "a", "updateRevision": "b"}],
    ids=["old pods are left", "pods are of another revision", "the revision changes"],
)
def test_a_stateful_set_is_not_ready_while_other_pods_are_left(status: dict[str, Any]) -> None:
    api: Any = Api(stateful_set(1, **status), stateful_set(1))
    assert await_ready(api, "/x", 5) == (stateful_set(1), [])
    assert api.asked == 2


def test_a_service_is_ready_once_its_endpoints_have_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints_module, "SETTLE_SECONDS", 0.3)
    pending = endpoints("1", notReadyAddresses=[{"ip": "1.2.3.4"}])
    api: Any = ServiceApi(service(), None, pending, endpoints("2"), endpoints("3", addresses=[{"ip": "1.2.3.4"}]))
    started = time.monotonic()
    assert await_ready(api, "/service", 20)[1] == []
    assert api.states == [endpoints("3", addresses=[{"ip": "1.2.3.4"}])]
    assert time.monotonic() >= started + 0.3


def test_a_service_whose_pods_cannot_start_says_so() -> None:
    api: Any = ServiceApi(service(), endpoints("1", notReadyAddresses=[{"ip": "1.2.3.4"}]))
    assert await_ready(api, "/service", 0.1)[1] == [f"not ready in time: {endpoints_module.NO_PODS}"]


@pytest.mark.parametrize(
    "spec",
    [
        {"annotations": {SKIP_AWAIT_ANNOTATION: "true"}},
        {"clusterIP": "None"},
        {"type": "ExternalName"},
        {"selector": {}},
    ],
    ids=["skipAwait", "headless", "external name", "no selector"],
)
def test_endpoints_of_some_services_are_not_awaited(spec: dict[str, Any]) -> None:
    api: Any = ServiceApi(service(**spec), None)
    assert await_ready(api, "/service", 5)[1] == []
    assert api.asked == 0


def test_the_resource_s_own_timeout_goes_before_that_of_its_annotation(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(readiness, "until", lambda check, seconds: waited.append(seconds))
    api: Any = Api(stateful_set(0, {readiness.TIMEOUT_ANNOTATION: "40"}))
    await_ready(api, "/x", 30)
    await_ready(api, "/x")
    await_ready(Api(stateful_set(0)), "/x")  # type: ignore[arg-type]  # a server for tests
    assert waited == [30, 40, provider.DEFAULT_TIMEOUT_SECONDS]


def test_an_object_that_another_one_has_replaced_is_gone() -> None:
    api: Any = Api({"metadata": {"uid": "1"}}, {"metadata": {"uid": "2"}})
    assert await_gone(api, "/x", "1", 5) is None
    api = Api({"metadata": {"uid": "1", "finalizers": ["a"]}})
    assert await_gone(api, "/x", "1", 0.1) == "still there after 0 s; finalizers: a."


def test_waiting_ends_soon_after_the_engine_asks_to_stop() -> None:
    api: Any = Api(stateful_set(0))
    threading.Timer(0.2, provider.cancelled.set).start()
    started = time.monotonic()
    assert await_ready(api, "/x", 60)[1]
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(("code", "attempts"), [("DependencyViolation", 3), ("AccessDenied", 1)])
def test_what_is_still_used_is_deleted_again_and_again(
    code: str, attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    deletions = []

    def delete(api: Any, identity: str, state: dict[str, Any]) -> None:
        deletions.append(identity)
        if len(deletions) < 3:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "Delete")

    kind = ResourceType((), create=lambda *_: "", read=lambda *_: None, delete=delete)
    monkeypatch.setitem(TYPES, TYPE, kind)
    aws = Aws()
    aws.configure({"region": "us-west-2"})
    if attempts == 1:
        with pytest.raises(ProviderError, match=code):
            aws.delete(Call(TYPE, "x", "urn"), "id", {})
    else:
        aws.delete(Call(TYPE, "x", "urn"), "id", {})
    assert deletions == ["id"] * attempts
