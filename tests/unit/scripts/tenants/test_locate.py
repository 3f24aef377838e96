"""The search for a tenant reads only the files and states that can contain it."""

from pathlib import Path
from typing import Any

import pytest

from components.core.errors import UserError
from components.core.resource_names import TENANT_TYPE
from scripts.clients.providers import Provider
from scripts.tenants import locate
from scripts.tenants.recorded_state import Applied
from scripts.tenants.reports.list_and_show import Tenant, state_in_words
from tests.support.contexts import EmptyCluster, FakeContext

STATES = {"showdown": ("system", "default"), "showdown.ops": ("ops",), "showdown.team": ("team",), "another": ("a",)}


class Engine:
    """An engine with the stacks of STATES; `read` lists those whose state was read."""

    def __init__(self, stack: str, read: list[str]) -> None:
        self._stack, self._read = stack, read

    def stacks(self) -> list[str]:
        return [*STATES]

    def state(self) -> list[dict[str, Any]]:
        self._read.append(self._stack)
        return [{"urn": f"x::tenant-{name}", "type": TENANT_TYPE} for name in STATES.get(self._stack, ())]


@pytest.mark.parametrize(
    ("tenant", "deployed", "states"),
    [
        (None, {"system", "default", "ops", "team"}, {"showdown", "showdown.ops", "showdown.team"}),
        ("ops", {"ops"}, {"showdown", "showdown.ops"}),
        ("default", {"default"}, {"showdown", "showdown.default"}),
        ("nosuch", set(), {"showdown", "showdown.nosuch"}),
    ],
)
def test_a_tenant_is_looked_for_in_no_state_but_its_instances_and_its_own(
    tmp_path: Path, tenant: str | None, deployed: set[str], states: set[str]
) -> None:
    read: list[str] = []
    context = FakeContext(tmp_path, lambda stack: Engine(stack, read))
    assert {*locate.deployed_tenants(context, Provider({}), "showdown", tenant)} == deployed
    assert {*read} == states


def test_the_settings_of_a_tenant_are_found_in_either_file(stack: Path, context: FakeContext) -> None:
    (stack.parent / "Pulumi.showdown.ops.yaml").write_text(
        "config:\n  opstrace:tenantOf: showdown\n  opstrace:tenant: {owner: a}\n"
    )
    config = context.require_file("showdown").config()
    assert locate.settings_of(context, "showdown", config, "ops").owner == "a"
    assert locate.settings_of(context, "showdown", config, "default") == config.settings_of("default")
    assert locate.settings_of(context, "showdown", config, "system") == config.settings_of("system")
    with pytest.raises(UserError, match=r"there is no tenant nosuch in .*; there are default, ops"):
        locate.settings_of(context, "showdown", config, "nosuch")


@pytest.mark.parametrize(
    ("protect", "words"), [(False, "to be deleted by the next update"), (True, "out of the file, but protected")]
)
def test_a_tenant_that_is_out_of_the_file_is_listed_with_what_an_update_does_to_it(protect: bool, words: str) -> None:
    deployed, cluster = Applied("urn", protect), EmptyCluster()
    tenant = Tenant("ops", None, deployed, own_stack=False)
    assert state_in_words(tenant, deployed, cluster) == words  # type: ignore[arg-type]  # the fake cluster has what the function calls
