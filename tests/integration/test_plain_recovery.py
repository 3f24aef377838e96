"""The steps of docs/how-to/recover-from-a-crash.md after a killed engine, by plain `pulumi` without the `opstrace` command."""

import json
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.config.load import from_settings
from components.core.resource_names import PROJECT, ROLE_TYPE, TENANT_TYPE, build_urn, child_type, logical_name
from scripts.clients.aws import Clients
from scripts.clients.kubernetes import Cluster
from scripts.engine.resource_lookup import find
from scripts.engine.state_repair import state_file
from tests.support.census import Inventory, of_cloud, of_state, portrait
from tests.support.faults import Faults, at_numbers
from tests.support.polling import eventually
from tests.support.shell import ROOT
from tests.support.stack import INSTANCE, SEED, Stack, Uninterrupted, assert_nothing_orphaned_or_lost, differences

PHASE = "add"
PAGE = (ROOT / "docs" / "how-to" / "recover-from-a-crash.md").read_text()
OTHERS_SECONDS = 2  # until the other creates are held, too
START_SECONDS = 60


@pytest.fixture
def created(bare_stack: Stack, faults: Faults) -> Iterator[Stack]:
    """An instance behind proxies that follow `faults.policy`."""
    stack = bare_stack.with_addresses(faults.replaced)
    stack.uninterrupted("create")
    yield stack
    faults.policy = lambda: None
    # A test may have failed in the middle.
    stack.run("pulumi", "--non-interactive", "cancel", "--yes", "--stack", INSTANCE, check=False)
    stack.uninterrupted("destroy")


def follow(stack: Stack, command: str, file: Path, *options: str) -> str:
    """Run a command of the page, with `file` as its `import.json`, and return its output."""
    assert f"`{command}`" in PAGE
    words = command.replace("import.json", str(file)).split()
    return stack.run(*words, "--non-interactive", *options, "--stack", INSTANCE).stdout


def kill_while_it_waits(stack: Stack, faults: Faults) -> None:
    """Kill the engine while AWS and the API server have created resources, but not answered yet."""
    stack.prepare(PHASE)
    faults.policy = at_numbers(range(random.Random(SEED).randrange(5, 25), 10**9), "answer held")
    process = subprocess.Popen(
        stack.command(PHASE), cwd=stack.project.folder, env=stack.environment, stdout=subprocess.DEVNULL
    )
    try:

        def is_held() -> bool:
            assert faults.count or process.poll() is None, f"the update ended with {process.returncode}"
            return bool(faults.count)

        eventually(is_held, START_SECONDS, 0.1)
        time.sleep(OTHERS_SECONDS)
    finally:
        process.kill()
        process.wait()
    faults.policy = lambda: None


def filled_in(
    stack: Stack, template: dict[str, Any], planned: list[dict[str, Any]], orphans: Inventory
) -> dict[str, Any]:
    """Return the import file with the ids of `orphans`, looked up as a person would, and no other resources."""
    config = from_settings(stack.settings(PHASE), INSTANCE)
    parts = Clients(stack.environment, config), Cluster(stack.environment, config)
    ids = {(one["type"], logical_name(one["urn"])): find(one, *parts) for one in planned if one.get("custom")}
    entries = []
    for entry in template["resources"]:
        identity = ids.get((entry["type"], entry["name"]))
        if (entry["type"], identity) in orphans:
            entries.append(entry | {"id": identity})
    assert len(entries) == len(orphans)
    parents = [entry for entry in template["resources"] if entry.get("component")]
    return template | {"resources": parents + entries}


@pytest.mark.nightly
def test_resources_that_a_killed_engine_created_are_imported(
    created: Stack, faults: Faults, uninterrupted: Uninterrupted, tmp_path: Path
) -> None:
    kill_while_it_waits(created, faults)
    file, unasked = tmp_path / "import.json", ("--yes", "--skip-preview")
    follow(created, "pulumi cancel", file, "--yes")
    follow(created, "pulumi refresh --clear-pending-creates", file, *unasked)
    orphans = of_cloud(created.cloud) - of_state(created.resources())
    assert orphans

    output = follow(created, "pulumi preview --import-file import.json", file, "--json")
    steps = json.loads(output[output.index("{") :])["steps"]
    planned = [step["newState"] for step in steps if step["op"] == "create"]
    file.write_text(json.dumps(filled_in(created, json.loads(file.read_text()), planned, orphans)))
    follow(created, "pulumi import --file import.json --generate-code=false --protect=false", file, *unasked)
    follow(created, "pulumi up", file, *unasked)
    resources = created.resources()
    assert_nothing_orphaned_or_lost(created, PHASE, resources)
    assert differences(portrait(resources), uninterrupted[PHASE][1]) == {}
    assert created.is_as_declared()


@pytest.mark.nightly
def test_resources_without_a_place_in_the_state_are_named(created: Stack) -> None:
    """A tenant was destroyed after the kill, with the operation still pending."""
    role = "opstrace-crash-gone"
    iam = created.cloud.aws("iam")
    iam.create_role(RoleName=role, AssumeRolePolicyDocument="{}")
    # Directly into the file: `pulumi stack import` removes pending operations.
    file = state_file(created.environment["PULUMI_BACKEND_URL"], PROJECT, INSTANCE)
    state = json.loads(file.read_text())
    resource = {
        "urn": build_urn(INSTANCE, child_type(TENANT_TYPE, ROLE_TYPE), "tenant-gone-role"),
        "parent": build_urn(INSTANCE, TENANT_TYPE, "tenant-gone"),
        "type": ROLE_TYPE,
        "custom": True,
        "inputs": {"name": role},
    }
    state["checkpoint"]["latest"]["pending_operations"] = [{"type": "creating", "resource": resource}]
    file.write_text(json.dumps(state))
    command = ("recover", "aws", INSTANCE)
    done = created.opstrace(*command, check=False)
    iam.delete_role(RoleName=role)
    output = " ".join(done.stderr.split())
    assert done.returncode == 1 and f"tenant-gone-role: {role}" in output and "delete them by hand" in output, (
        done.stderr
    )
    created.opstrace(*command)
