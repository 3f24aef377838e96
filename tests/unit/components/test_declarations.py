"""The program declares the resources that `declarations.json` records."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.core.resource_names import DEPLOYMENT_TYPE, SERVICE_TYPE, STATEFUL_SET_TYPE, type_token
from components.core.tags import SKIP_AWAIT_ANNOTATION
from tests.support.declarations import without_lua
from tests.support.shell import ROOT

FILE = Path(__file__).with_name("declarations.json")
REMEDY = "if you meant this change: PYTHONPATH=. .venv/bin/python -P -m tests.support.declarations > tests/unit/components/declarations.json"


@pytest.fixture(scope="module")
def declared() -> dict[str, Any]:
    """The declarations of the programs, from a process of its own: the program disables the garbage collector."""
    command = [sys.executable, "-P", "-m", "tests.support.declarations"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("part", ["instance", "instanceOutputs", "tenant", "tenantOutputs"])
def test_the_program_declares_what_is_recorded(declared: dict[str, Any], part: str) -> None:
    recorded = json.loads(FILE.read_text())[part]
    assert recorded and {*declared[part]} == {*recorded}, REMEDY
    changed = {name: declared[part][name] for name in recorded if declared[part][name] != recorded[name]}
    assert changed == {name: recorded[name] for name in changed}, REMEDY


def test_every_type_of_component_is_recorded(declared: dict[str, Any]) -> None:
    types = {type_token(urn) for part in ("instance", "tenant") for urn in declared[part]}
    components = ("instance:Instance", "tenant:Tenant", "gateway:Gateway", "entrance:Entrance", "cortex:Cortex")
    more = ("trust_store:TrustStore", "loki:Loki", "alertmanager:Alertmanager")
    assert {f"opstrace:{name}" for name in (*components, *more)} <= types


def _resources(declared: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    programs = (declared["instance"], declared["tenant"])
    return [entry for program in programs for urn, entry in program.items() if type_token(urn) == kind]


def test_an_update_waits_for_workloads_and_not_for_services(declared: dict[str, Any]) -> None:
    services = _resources(declared, SERVICE_TYPE)
    assert services and all(
        entry["object"]["metadata"]["annotations"] == {SKIP_AWAIT_ANNOTATION: "true"} for entry in services
    )
    workloads = _resources(declared, STATEFUL_SET_TYPE) + _resources(declared, DEPLOYMENT_TYPE)
    not_awaited = {
        entry["object"]["metadata"]["name"] for entry in workloads if "annotations" in entry["object"]["metadata"]
    }
    assert len(workloads) > 5 and not_awaited == {"cluster-collector"}


def test_an_update_may_take_as_long_as_all_pods_may_stop_and_a_log_may_be_replayed(declared: dict[str, Any]) -> None:
    sets = _resources(declared, STATEFUL_SET_TYPE)
    assert {entry["object"]["spec"]["replicas"] for entry in sets} == {1, 3}
    for entry in sets:
        spec = entry["object"]["spec"]
        pod = spec["template"]["spec"]
        probe = pod["containers"][0]["startupProbe"]
        start = probe["periodSeconds"] * probe["failureThreshold"]
        seconds = int(entry["customTimeouts"]["update"].removesuffix("s"))
        assert seconds >= spec["replicas"] * pod["terminationGracePeriodSeconds"] + start


def test_of_a_file_with_lua_only_the_lua_is_not_compared() -> None:
    def file(code: str, name: str) -> dict[str, str]:
        return {"envoy.json": json.dumps({"name": name, "source": {"inline_string": code}})}

    one = file("function envoy_on_request(handle) end", "access")
    assert without_lua(one) == without_lua(file("local x\nfunction envoy_on_response(handle) end", "access"))
    assert without_lua(one) != without_lua(file("function envoy_on_request(handle) end", "token"))
    assert without_lua(file("a key", "token")) == file("a key", "token")
