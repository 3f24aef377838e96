"""Without the `opstrace` command: what docs/operations.md says to do by plain `pulumi` after its engine was killed."""

import json
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.config import from_settings
from scripts.aws import Clients
from scripts.cluster import Cluster
from scripts.engine import PROJECT
from scripts.pending import find
from scripts.state_files import state_file
from tests.engine.census import Found, of_cloud, of_state, portrait
from tests.engine.faults import Faults, at_numbers
from tests.engine.stack import INSTANCE, SEED, Stack, Undisturbed, assert_nothing_orphaned_or_lost, differences
from tests.shell import ROOT, run

PHASE = "add"
PAGE = (ROOT / "docs" / "operations.md").read_text()
OTHERS_SECONDS = 2  # in which the other creates come to where they are held, too
START_SECONDS = 60


@pytest.fixture
def created(bare_stack: Stack, faults: Faults) -> Iterator[Stack]:
    """An instance behind servers that do as `faults.policy` says."""
    stack = bare_stack.through(faults.replaced)
    stack.undisturbed("create")
    yield stack
    faults.policy = lambda: None
    # Of a test that failed in the middle.
    run("pulumi", "--non-interactive", "cancel", "--yes", "--stack", INSTANCE, env=stack.environment, check=False)
    stack.undisturbed("destroy")


def follow(stack: Stack, command: str, file: Path, *options: str) -> str:
    """Run a command that the page gives, with `file` as its `import.json`, and return what it printed."""
    assert f"`{command}`" in PAGE
    words = command.replace("import.json", str(file)).split()
    return str(run(*words, "--non-interactive", *options, "--stack", INSTANCE, env=stack.environment).stdout)


def kill_while_it_waits(stack: Stack, faults: Faults) -> None:
    """Kill the engine while AWS and the API server have made things of which no answer has come yet."""
    stack.prepare(PHASE)
    faults.policy = at_numbers(range(random.Random(SEED).randrange(5, 25), 10**9), "answer held")
    process = subprocess.Popen(stack.command(PHASE), cwd=ROOT, env=stack.environment, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not faults.count:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(OTHERS_SECONDS)
    finally:
        process.kill()
        process.wait()
    faults.policy = lambda: None


def filled_in(stack: Stack, template: dict[str, Any], planned: list[dict[str, Any]], orphans: Found) -> dict[str, Any]:
    """Return the import file with the ids of `orphans`, each found as a person would; the rest is left out."""
    config = from_settings(stack.settings(PHASE), INSTANCE)
    parts = Clients(stack.environment, config), Cluster(stack.environment, config)
    ids = {(one["type"], one["urn"].rpartition("::")[2]): find(one, *parts) for one in planned if one.get("custom")}
    there = []
    for entry in template["resources"]:
        identity = ids.get((entry["type"], entry["name"]))
        if (entry["type"], identity) in orphans:
            there.append(entry | {"id": identity})
    assert len(there) == len(orphans)
    parents = [entry for entry in template["resources"] if entry.get("component")]
    return template | {"resources": parents + there}


@pytest.mark.nightly
def test_what_a_killed_engine_made_is_imported(
    created: Stack, faults: Faults, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    kill_while_it_waits(created, faults)
    file, unasked = tmp_path / "import.json", ("--yes", "--skip-preview")
    follow(created, "pulumi cancel", file, "--yes")
    follow(created, "pulumi refresh --clear-pending-creates", file, *unasked)
    orphans = of_cloud(created.cloud) - of_state(created.resources())
    assert orphans

    said = follow(created, "pulumi preview --import-file import.json", file, "--json")
    steps = json.loads(said[said.index("{") :])["steps"]
    planned = [step["newState"] for step in steps if step["op"] == "create"]
    file.write_text(json.dumps(filled_in(created, json.loads(file.read_text()), planned, orphans)))
    follow(created, "pulumi import --file import.json --generate-code=false --protect=false", file, *unasked)
    follow(created, "pulumi up", file, *unasked)
    resources = created.resources()
    assert_nothing_orphaned_or_lost(created, PHASE, resources)
    assert differences(portrait(resources), undisturbed[PHASE][1]) == {}
    assert created.is_as_declared()


@pytest.mark.nightly
def test_what_has_no_place_in_the_state_any_more_is_named(created: Stack) -> None:
    """As when its tenant was destroyed after the kill, with the operation still pending."""
    role, urn = "opstrace-crash-gone", f"urn:pulumi:{INSTANCE}::opstrace::opstrace:tenant:Tenant"
    iam = created.cloud.aws("iam")
    iam.create_role(RoleName=role, AssumeRolePolicyDocument="{}")
    # Into the file itself: `pulumi stack import` takes away what is pending.
    file = state_file(created.environment["PULUMI_BACKEND_URL"], PROJECT, INSTANCE)
    state = json.loads(file.read_text())
    resource = {
        "urn": f"{urn}$aws:iam/role:Role::tenant-gone-role",
        "parent": f"{urn}::tenant-gone",
        "type": "aws:iam/role:Role",
        "custom": True,
        "inputs": {"name": role},
    }
    state["checkpoint"]["latest"]["pending_operations"] = [{"type": "creating", "resource": resource}]
    file.write_text(json.dumps(state))
    command = (str(ROOT / "opstrace"), "recover", "aws", INSTANCE)
    done = run(*command, env=created.environment, check=False)
    iam.delete_role(RoleName=role)
    said = " ".join(done.stderr.split())
    assert done.returncode == 1 and f"tenant-gone-role: {role}" in said and "delete it by hand" in said, done.stderr
    run(*command, env=created.environment)
