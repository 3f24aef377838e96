"""Where a tenant is looked for: in the files and states in which it can be, and in no others."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components.errors import UserError
from scripts import placing, tenant_views
from scripts.applied import TENANT_TYPE, Applied
from scripts.stackfile import require

STATES = {"showdown": ("system", "default"), "showdown.ops": ("ops",), "showdown.team": ("team",), "another": ("a",)}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the engine have the stacks of STATES; return the list of those whose state is read."""
    asked: list[str] = []

    class Engine:
        def __init__(self, environment: Mapping[str, str], stack: str) -> None:
            self._stack = stack

        def stacks(self) -> list[str]:
            return [*STATES]

        def state(self) -> list[dict[str, Any]]:
            asked.append(self._stack)
            return [{"urn": f"x::tenant-{name}", "type": TENANT_TYPE} for name in STATES.get(self._stack, ())]

    monkeypatch.setattr(placing, "Engine", Engine)
    return asked


@pytest.mark.parametrize(
    ("tenant", "there", "states"),
    [
        (None, {"system", "default", "ops", "team"}, {"showdown", "showdown.ops", "showdown.team"}),
        ("ops", {"ops"}, {"showdown", "showdown.ops"}),
        ("default", {"default"}, {"showdown", "showdown.default"}),
        ("nosuch", set(), {"showdown", "showdown.nosuch"}),
    ],
)
def test_a_tenant_is_looked_for_in_no_state_but_its_instances_and_its_own(
    read: list[str], tenant: str | None, there: set[str], states: set[str]
) -> None:
    assert {*placing.applied_anywhere({}, "showdown", tenant)} == there
    assert {*read} == states


def test_the_settings_of_a_tenant_are_found_in_either_file(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "STACKS", stack.parent)
    (stack.parent / "Pulumi.showdown.ops.yaml").write_text(
        "config:\n  opstrace:tenantOf: showdown\n  opstrace:tenant: {owner: a}\n"
    )
    config = require("showdown").config()
    assert placing.settings_of("showdown", config, "ops").owner == "a"
    assert placing.settings_of("showdown", config, "default") == config.settings_of("default")
    assert placing.settings_of("showdown", config, "system") == config.settings_of("system")
    with pytest.raises(UserError, match=r"there is no tenant nosuch in .*; there are default, ops"):
        placing.settings_of("showdown", config, "nosuch")


@pytest.mark.parametrize(
    ("protect", "said"), [(False, "to be deleted by the next update"), (True, "out of the file, but protected")]
)
def test_a_tenant_that_is_out_of_the_file_is_listed_with_what_an_update_does_to_it(protect: bool, said: str) -> None:
    cluster: Any = SimpleNamespace()
    assert tenant_views._state("ops", None, Applied("urn", protect), cluster) == said
