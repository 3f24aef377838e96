"""A tenant in a stack of its own: made, seen beside the others, moved to and fro while it is interrupted, removed."""

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.engine import PROJECT
from scripts.stackfile import STACKS
from tests.conftest import run
from tests.e2e.test_tenants import tenants
from tests.e2e.walk import INSTANCE, LABELS, STACK_FILE, Walk, commands, is_unknown, unseen, url
from tests.waiting import eventually

LINE = "a line of a tenant alone"
TENANT = "team"  # of the page on tenants, whose commands these are
SECTION = "A tenant in a stack of its own"
ADD, TO_INSTANCE, TO_OWN, REMOVE = commands("tenants.md", SECTION)
STACK = f"{INSTANCE}.{TENANT}"
FILE = STACKS / f"Pulumi.{STACK}.yaml"


@pytest.fixture(scope="module")
def token(walk: Walk, trusted_pair: str) -> Iterator[str]:
    FILE.unlink(missing_ok=True)  # of a run that was killed
    yield walk.opstrace("ta-create-token", INSTANCE, TENANT, trusted_pair).stdout


def follow(walk: Walk, command: str, printed: list[str]) -> None:
    printed.append(walk.follow(["exec 2>&1\n", command])[1])


def pulumi(walk: Walk, *arguments: str) -> str:
    return str(run("pulumi", "--non-interactive", *arguments, env=walk.shell).stdout)


def changes(walk: Walk, stack: str) -> set[str]:
    said = pulumi(walk, "preview", "--json", "--stack", stack)
    return {*json.loads(said[said.index("{") :])["changeSummary"]}


def identity(walk: Walk) -> list[str]:
    """Return what must not change when a tenant moves: its pods and its buckets."""
    pods = json.loads(walk.kubectl("-n", f"{TENANT}-tenant", "get", "pods", "-o", "json"))["items"]
    return sorted(pod["metadata"]["uid"] for pod in pods) + walk.buckets(TENANT)


def urn(walk: Walk, stack: str) -> str | None:
    state: list[dict[str, Any]] = json.loads(pulumi(walk, "stack", "export", "--stack", stack))["deployment"][
        "resources"
    ]
    return next((entry["urn"] for entry in state if entry["urn"].endswith(f"Tenant::tenant-{TENANT}")), None)


def leave_lock(walk: Walk, stack: str) -> int:
    """Let a stack be locked by a process that has ended, as one that was killed leaves it; return that one's id."""
    process = subprocess.Popen(["true"])
    process.wait()
    owner = {"pid": process.pid, "hostname": socket.gethostname(), "username": "x", "timestamp": "2026-01-01T00:00:00Z"}
    backend = Path(walk.shell["PULUMI_BACKEND_URL"].removeprefix("file://"))
    locks = backend / ".pulumi" / "locks" / "organization" / PROJECT / stack
    locks.mkdir(parents=True, exist_ok=True)
    (locks / "of-a-killed-engine.json").write_text(json.dumps(owner))
    return process.pid


def test_a_tenant_in_its_own_stack_is_served_and_seen_like_any_other(
    walk: Walk, token: str, printed: list[str]
) -> None:
    follow(walk, ADD, printed)
    assert f"name: {TENANT}" not in STACK_FILE.read_text()
    eventually(lambda: walk.curl(url("cortex", TENANT, LABELS), token=token)[0] == 200, 90)
    found = {entry["name"]: entry for entry in json.loads(tenants(walk, "list", "--json").stdout)}
    assert found[TENANT]["ownStack"] and not found["default"]["ownStack"]
    assert (found[TENANT]["state"], found[TENANT]["retention"]["metrics"]) == ("ready", "30d")
    shown = json.loads(walk.opstrace("status", "local", INSTANCE, "--json").stdout)["tenants"][TENANT]
    assert shown["configured"] and shown["applied"] and shown["gateway"] and len(shown["buckets"]) == 3
    assert walk.opstrace("list", "local").stdout.split() == [INSTANCE]
    assert changes(walk, STACK) == {"same"}


def test_the_verbs_change_it_and_what_is_sent_to_it_arrives(walk: Walk, token: str) -> None:
    done = tenants(walk, "set", TENANT, "owner=team-b", "--json")
    told = json.loads(done.stdout)
    assert (told["change"], [*told["files"]]) == ([TENANT], [FILE.name])
    assert f"1 tenant to change ({TENANT})" in done.stderr and "owner: team-b" in FILE.read_text()
    assert json.loads(tenants(walk, "show", TENANT, "--json").stdout)["settings"]["owner"] == "team-b"
    assert walk.push_line(TENANT, LINE, token, "alone")[0] == 204
    logs = url("loki", TENANT, "/loki/api/v1/query_range?query=%7Bjob%3D%22alone%22%7D")
    eventually(lambda: LINE in walk.curl(logs, token=token)[1])


def test_its_instance_is_not_destroyed_under_it_and_its_data_is_not_taken_for_retained(walk: Walk) -> None:
    refused = walk.opstrace("destroy", "local", INSTANCE, "--yes", check=False)
    assert refused.returncode == 1 and f"which need it: {TENANT}" in refused.stderr
    assert json.loads(tenants(walk, "data", "list", "--json").stdout) == []
    refused = tenants(walk, "add", TENANT, check=False)
    assert refused.returncode == 1 and "is there already" in refused.stderr


def test_a_move_that_was_interrupted_goes_on_where_it_was(walk: Walk, token: str, printed: list[str]) -> None:
    before = identity(walk)
    found = urn(walk, STACK)
    assert found
    # As after a kill in the middle: the state is moved, no file is changed.
    pulumi(walk, "state", "move", "--yes", "--source", STACK, "--dest", INSTANCE, found)
    as_it_was = FILE.read_text()
    follow(walk, TO_INSTANCE, printed)
    assert identity(walk) == before and not FILE.exists()
    FILE.write_text(as_it_was)  # as after a kill just before the end
    told = json.loads(tenants(walk, "move", TENANT, "--to", "instance", "--json").stdout)
    assert (told["tenant"], told["stack"], [*told["files"]]) == (TENANT, INSTANCE, [FILE.name])
    assert identity(walk) == before and not FILE.exists()
    assert f"name: {TENANT}" in STACK_FILE.read_text() and "metrics: 30d" in STACK_FILE.read_text()
    assert changes(walk, INSTANCE) == {"same"} and STACK not in pulumi(walk, "stack", "ls")

    with_tenant = json.loads(pulumi(walk, "stack", "export", "--stack", INSTANCE))
    leave_lock(walk, INSTANCE)
    follow(walk, TO_OWN, printed)
    assert identity(walk) == before and f"name: {TENANT}" not in STACK_FILE.read_text()
    # As after a kill inside of `state move`: it is in both states, protected or not.
    for entry in with_tenant["deployment"]["resources"]:
        entry["protect"] = entry["urn"].endswith(f"::tenant-{TENANT}") or f"::tenant-{TENANT}-" in entry["urn"]
    (walk.folder / "state.json").write_text(json.dumps(with_tenant))
    pulumi(walk, "stack", "import", "--stack", INSTANCE, "--file", str(walk.folder / "state.json"))
    process = leave_lock(walk, INSTANCE)
    done = tenants(walk, "move", TENANT, "--to", "own-stack", "--json")
    said = done.stderr
    # The files were as they are to be, only the states were not.
    assert json.loads(done.stdout) == {"tenant": TENANT, "applied": True, "stack": STACK, "files": {}}
    assert f"The lock of pulumi process {process}, which was killed at work, is cleared." in said
    assert identity(walk) == before
    assert urn(walk, INSTANCE) is None and urn(walk, STACK)
    assert changes(walk, INSTANCE) == changes(walk, STACK) == {"same"}
    assert walk.curl(url("cortex", TENANT, LABELS), token=token)[0] == 200


def test_its_stack_is_recovered_like_its_instance_s(walk: Walk) -> None:
    process = leave_lock(walk, STACK)
    said = walk.opstrace("recover", "local", STACK).stderr
    assert f"The lock of pulumi process {process}, which was killed at work, is cleared." in said
    assert changes(walk, STACK) == {"same"}


def test_it_is_removed_with_its_stack_and_its_data(walk: Walk, token: str, printed: list[str]) -> None:
    follow(walk, REMOVE, printed)
    assert unseen("tenants.md", SECTION, "\n".join(printed)) == []
    assert walk.buckets(TENANT) == [] and not FILE.exists()
    assert STACK not in pulumi(walk, "stack", "ls")
    eventually(lambda: is_unknown(walk, TENANT, token))


def test_its_data_is_kept_like_any_other_s(walk: Walk, token: str) -> None:
    walk.follow([ADD])
    eventually(lambda: walk.push_line(TENANT, LINE, token, "alone")[0] == 204, 90)
    done = tenants(walk, "remove", TENANT, "--json")
    assert f"The data of {TENANT} is kept in 3 buckets" in done.stderr and not FILE.exists()
    told = json.loads(done.stdout)
    assert "+++ /dev/null" in told["files"][FILE.name] and [*told["delete"]] == [TENANT]
    assert sorted(told["data"]["buckets"].values()) == sorted(walk.buckets(TENANT))
    assert STACK not in pulumi(walk, "stack", "ls")
    (kept,) = json.loads(tenants(walk, "data", "list", "--json").stdout)
    assert kept["tenant"] == TENANT and kept["objects"] >= 1
    assert "Nothing is left" in tenants(walk, "data", "purge", TENANT, "--yes").stderr
    assert walk.buckets(TENANT) == []
