"""What the engine's `Check` costs: inputs of the last update are not checked again, all others are."""

from typing import Any

import pytest
from google.protobuf import struct_pb2
from pulumi.runtime.proto import provider_pb2 as pb

from components.core.resource_names import CONFIG_MAP_TYPE
from localcloud.plugins.kubernetes.__main__ import Kubernetes
from localcloud.plugins.provider import Servicer
from localcloud.plugins.values import decode, encode

URN = f"urn:pulumi:a::b::{CONFIG_MAP_TYPE}::c"
INPUTS = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}}
SEED = bytes(range(32))


class Counting(Kubernetes):
    checks = 0

    def check(self, *arguments: Any) -> Any:
        self.checks += 1
        return super().check(*arguments)


def checked(provider: Counting, old: struct_pb2.Struct | None, new: struct_pb2.Struct) -> struct_pb2.Struct:
    answer: Any = Servicer(provider, "1").Check(pb.CheckRequest(urn=URN, olds=old, news=new, randomSeed=SEED), None)
    assert not answer.failures
    inputs: struct_pb2.Struct = answer.inputs
    return inputs


def test_inputs_of_the_last_update_are_not_checked_again() -> None:
    provider = Counting()
    first = checked(provider, None, encode(INPUTS | {"metadata": {"name": "d"}}))
    assert provider.checks == 1
    assert checked(provider, first, first) == first and provider.checks == 1


@pytest.mark.parametrize("changed", [{"data": {"a": "c"}}, {"metadata": {"labels": {"a": "b"}}}])
def test_other_inputs_are_checked(changed: dict[str, Any]) -> None:
    provider = Counting()
    first = checked(provider, None, encode(INPUTS))
    second = checked(provider, first, encode(INPUTS | changed))
    assert provider.checks == 2
    assert decode(second)["metadata"]["name"] == decode(first)["metadata"]["name"]


def test_a_new_resource_without_inputs_is_checked() -> None:
    answer: Any = Servicer(Counting(), "1").Check(pb.CheckRequest(urn=URN, olds=encode({}), news=encode({})), None)
    assert [failure.property for failure in answer.failures] == ["apiVersion", "kind"]
