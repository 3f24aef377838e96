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
from scripts.pending import find
from tests.engine.census import Found, of_cloud, of_state, portrait
from tests.engine.faults import Faults, at_numbers
from tests.engine.stack import INSTANCE, SEED, Stack, Undisturbed, assert_nothing_orphaned_or_lost, differences
from tests.shell import ROOT, run

PHASE = "add"
OTHERS_SECONDS = 2  # in which the other creates come to where they are held, too
START_SECONDS = 60


@pytest.fixture
def faults(bare_stack: Stack, undisturbed: Undisturbed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faults]:
    made = Faults(bare_stack.cloud, tmp_path_factory.mktemp("faults") / "servers")
    yield made
    made.stop()


@pytest.fixture
def created(bare_stack: Stack, faults: Faults) -> Iterator[Stack]:
    """An instance behind servers that do as `faults.policy` says."""
    stack = bare_stack.through(faults.replaced)
    stack.undisturbed("create")
    yield stack
    faults.policy = lambda: None
    stack.undisturbed("destroy")


def pulumi(stack: Stack, *arguments: str) -> str:
    return str(run("pulumi", "--non-interactive", *arguments, "--stack", INSTANCE, env=stack.environment).stdout)


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
    pulumi(created, "cancel", "--yes")
    pulumi(created, "refresh", "--clear-pending-creates", "--yes", "--skip-preview")
    exported = json.loads(pulumi(created, "stack", "export"))["deployment"]
    orphans = of_cloud(created.cloud) - of_state(exported["resources"])
    print(orphans)
    assert orphans

    file = tmp_path / "import.json"
    said = pulumi(created, "preview", "--json", "--import-file", str(file))
    steps = json.loads(said[said.index("{") :])["steps"]
    planned = [step["newState"] for step in steps if step["op"] == "create"]
    template = json.loads(file.read_text())
    file.write_text(json.dumps(filled_in(created, template, planned, orphans)))
    pulumi(
        created, "import", "--file", str(file), "--generate-code=false", "--protect=false", "--yes", "--skip-preview"
    )
    pulumi(created, "up", "--yes", "--skip-preview")
    resources = created.resources()
    assert_nothing_orphaned_or_lost(created, PHASE, resources)
    assert differences(portrait(resources), undisturbed[PHASE][1]) == {}
    assert created.is_as_declared()
