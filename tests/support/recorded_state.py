"""States of the engine as the program reads them."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf import struct_pb2
from pulumi.runtime import rpc

from components.shared import recorded_outputs
from components.shared.recorded_outputs import RecordedResource


def sent(values: Mapping[str, Any]) -> struct_pb2.Struct:
    """Return values as the engine sends them."""
    struct = struct_pb2.Struct()
    struct.update(values)
    return struct


def resource(kind: str, outputs: Mapping[str, Any]) -> RecordedResource:
    """Return a resource of a state."""
    return RecordedResource(kind, sent(outputs))


def answer_with(monkeypatch: pytest.MonkeyPatch, answer: Callable[[str, dict[str, Any]], Any]) -> None:
    """Let `answer` return the outputs that the engine reads, for the name of a function and its arguments."""

    def ask(request: Any) -> Any:
        outputs = answer(request.tok, rpc.deserialize_properties(request.args))
        return SimpleNamespace(failures=[], **{"return": sent({"outputs": outputs})})

    monkeypatch.setattr(recorded_outputs, "ask_engine", ask)
