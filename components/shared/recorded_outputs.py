"""What the engine's state records of this stack."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import pulumi
import tenacity

from components.core.errors import HALF_WRITTEN, HALF_WRITTEN_SECONDS
from components.core.resource_names import READ_STACK_OUTPUTS, READ_STACK_RESOURCE_OUTPUTS


def full_stack_name() -> str:
    """Return the name of this stack with its organization and project."""
    return f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"


def _is_half_written(error: BaseException) -> bool:
    return HALF_WRITTEN.search(str(error)) is not None


@tenacity.retry(
    retry=tenacity.retry_if_exception(_is_half_written),
    stop=tenacity.stop_after_delay(HALF_WRITTEN_SECONDS),
    wait=tenacity.wait_fixed(0.05),
    reraise=True,
)
def read_state(function: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the answer of one of the engine's functions that read a state.

    While the program runs, the engine writes the state of the same stack. A read of half a file is tried again.
    """
    return dict(pulumi.runtime.invoke(function, arguments).value or {})


@cache  # the engine reads the whole state for each call
def recorded_outputs() -> Mapping[str, Any]:
    """Return the outputs of this stack's last update; empty without one.

    The function is the engine's own (pulumi/pkg/resource/deploy/builtins.go, 3.255). It leaves the default provider of the
    package `pulumi` in the state, and nothing else.
    """
    return dict(read_state(READ_STACK_OUTPUTS, {"name": full_stack_name()}).get("outputs") or {})


@cache
def recorded_resources() -> Mapping[str, Any]:
    """Return the type and the outputs of each resource in this stack's state, by URN.

    The function is the engine's own, too. It fails for a stack without any update, which has no recorded outputs either.
    """
    if not recorded_outputs():
        return {}
    return dict(read_state(READ_STACK_RESOURCE_OUTPUTS, {"stackName": full_stack_name()})["outputs"])
