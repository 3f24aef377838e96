"""A tenant in its own stack: added, listed, moved in both directions with interruptions, removed."""

import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from components.core.resource_names import PROJECT, logical_name, tenant_name
from tests.e2e.test_tenants import tenants
from tests.support.polling import eventually
from tests.support.user_session import INSTANCE, LABELS, UserSession, commands, is_unknown, unseen, url

LINE = "a line of a tenant alone"
PAGE = "how-to/tenant-stack.md"
TENANT = "team"  # as in the commands of the page
ADD, TO_INSTANCE, TO_OWN, REMOVE = commands(PAGE)
STACK = f"{INSTANCE}.{TENANT}"


@pytest.fixture(scope="module")
def token(walk: UserSession, trusted_pair: str) -> str:
    return walk.opstrace("ta-create-token", INSTANCE, TENANT, trusted_pair).stdout


def follow(walk: UserSession, command: str, printed: list[str]) -> None:
    printed.append(walk.follow(["exec 2>&1\n", command])[1])


def pulumi(walk: UserSession, *arguments: str) -> str:
    return walk.in_project("pulumi", "--non-interactive", *arguments).stdout


def changes(walk: UserSession, stack: str) -> set[str]:
    output = pulumi(walk, "preview", "--json", "--stack", stack)
    return {*json.loads(output[output.index("{") :])["changeSummary"]}


def identity(walk: UserSession) -> list[str]:
    """Return the tenant's pods and buckets, which a move must not replace."""
    pods = json.loads(walk.kubectl("-n", f"{TENANT}-tenant", "get", "pods", "-o", "json"))["items"]
    return sorted(pod["metadata"]["uid"] for pod in pods) + walk.buckets(TENANT)


def urn(walk: UserSession, stack: str) -> str | None:
    state: list[dict[str, Any]] = json.loads(pulumi(walk, "stack", "export", "--stack", stack))["deployment"][
        "resources"
    ]
    return next((entry["urn"] for entry in state if logical_name(entry["urn"]) == tenant_name(TENANT)), None)


def leave_lock(walk: UserSession, stack: str) -> int:
    """Leave a lock as a killed engine does; return the id of its process, which has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    owner = {"pid": process.pid, "hostname": socket.gethostname(), "username": "x", "timestamp": "2026-01-01T00:00:00Z"}
    backend = Path(walk.shell["PULUMI_BACKEND_URL"].removeprefix("file://").split("?")[0])
    locks = backend / ".pulumi" / "locks" / "organization" / PROJECT / stack
    locks.mkdir(parents=True, exist_ok=True)
    (locks / "of-a-killed-engine.json").write_text(json.dumps(owner))
    return process.pid


def test_a_tenant_in_its_own_stack_is_served_and_seen_like_any_other(
    walk: UserSession, token: str, printed: list[str]
) -> None:
    follow(walk, ADD, printed)
    assert f"name: {TENANT}" not in walk.stack_path.read_text()
    eventually(lambda: walk.curl(url("cortex", TENANT, LABELS), token=token)[0] == 200, 90)
    rows = {entry["name"]: entry for entry in json.loads(tenants(walk, "list", "--json").stdout)}
    assert rows[TENANT]["ownStack"] and not rows["default"]["ownStack"]
    assert (rows[TENANT]["state"], rows[TENANT]["retention"]["metrics"]) == ("ready", "30d")
    shown = json.loads(walk.opstrace("status", "local", INSTANCE, "--json").stdout)["tenants"][TENANT]
    assert shown["configured"] and shown["applied"] and shown["gateway"] and len(shown["buckets"]) == 3
    assert walk.opstrace("list", "local").stdout.split() == [INSTANCE]
    assert changes(walk, STACK) == {"same"}


def test_the_verbs_change_it_and_it_stores_data(walk: UserSession, token: str) -> None:
    done = tenants(walk, "set", TENANT, "owner=team-b", "--json")
    result = json.loads(done.stdout)
    assert (result["change"], [*result["files"]]) == ([TENANT], [walk.project.stack_path(STACK).name])
    assert (
        f"1 tenant to change ({TENANT})" in done.stderr
        and "owner: team-b" in walk.project.stack_path(STACK).read_text()
    )
    assert json.loads(tenants(walk, "show", TENANT, "--json").stdout)["settings"]["owner"] == "team-b"
    assert walk.push_line(TENANT, LINE, token, "alone")[0] == 204
    logs = url("loki", TENANT, "/loki/api/v1/query_range?query=%7Bjob%3D%22alone%22%7D")
    eventually(lambda: LINE in walk.curl(logs, token=token)[1])


def test_its_instance_is_not_destroyed_under_it_and_its_data_is_not_taken_for_retained(walk: UserSession) -> None:
    refused = walk.opstrace("destroy", "local", INSTANCE, "--yes", check=False)
    assert refused.returncode == 1 and f"which need it: {TENANT}" in refused.stderr
    assert json.loads(tenants(walk, "data", "list", "--json").stdout) == []
    refused = tenants(walk, "add", TENANT, check=False)
    assert refused.returncode == 1 and "exists already" in refused.stderr


def test_an_interrupted_move_is_resumed(walk: UserSession, token: str, printed: list[str]) -> None:
    before = identity(walk)
    component = urn(walk, STACK)
    assert component
    # Like a kill in the middle: the state is moved, no file has changed.
    pulumi(walk, "state", "move", "--yes", "--source", STACK, "--dest", INSTANCE, component)
    as_it_was = walk.project.stack_path(STACK).read_text()
    follow(walk, TO_INSTANCE, printed)
    assert identity(walk) == before and not walk.project.stack_path(STACK).exists()
    walk.project.stack_path(STACK).write_text(as_it_was)  # like a kill just before the end
    result = json.loads(tenants(walk, "move", TENANT, "--to", "instance", "--json").stdout)
    assert (result["tenant"], result["stack"], [*result["files"]]) == (
        TENANT,
        INSTANCE,
        [walk.project.stack_path(STACK).name],
    )
    assert identity(walk) == before and not walk.project.stack_path(STACK).exists()
    assert f"name: {TENANT}" in walk.stack_path.read_text() and "metrics: 30d" in walk.stack_path.read_text()
    assert changes(walk, INSTANCE) == {"same"} and STACK not in pulumi(walk, "stack", "ls")

    with_tenant = json.loads(pulumi(walk, "stack", "export", "--stack", INSTANCE))
    leave_lock(walk, INSTANCE)
    follow(walk, TO_OWN, printed)
    assert identity(walk) == before and f"name: {TENANT}" not in walk.stack_path.read_text()
    # Like a kill during `state move`: the tenant is in both states, with any protection.
    for entry in with_tenant["deployment"]["resources"]:
        entry["protect"] = entry["urn"].endswith(f"::tenant-{TENANT}") or f"::tenant-{TENANT}-" in entry["urn"]
    (walk.folder / "state.json").write_text(json.dumps(with_tenant))
    pulumi(walk, "stack", "import", "--stack", INSTANCE, "--file", str(walk.folder / "state.json"))
    process = leave_lock(walk, INSTANCE)
    done = tenants(walk, "move", TENANT, "--to", "own-stack", "--json")
    output = done.stderr
    # The files are complete, the states are not.
    assert json.loads(done.stdout) == {"tenant": TENANT, "applied": True, "stack": STACK, "files": {}}
    assert f"Cleared the lock of pulumi process {process}, which was killed." in output
    assert identity(walk) == before
    assert urn(walk, INSTANCE) is None and urn(walk, STACK)
    assert changes(walk, INSTANCE) == changes(walk, STACK) == {"same"}
    assert walk.curl(url("cortex", TENANT, LABELS), token=token)[0] == 200


def test_its_stack_is_recovered_like_its_instance_s(walk: UserSession) -> None:
    process = leave_lock(walk, STACK)
    output = walk.opstrace("recover", "local", STACK).stderr
    assert f"Cleared the lock of pulumi process {process}, which was killed." in output
    assert changes(walk, STACK) == {"same"}


def test_it_is_removed_with_its_stack_and_its_data(walk: UserSession, token: str, printed: list[str]) -> None:
    follow(walk, REMOVE, printed)
    assert walk.in_project("pulumi", "stack", "--show-name").stdout.strip() == INSTANCE  # plain `pulumi up` goes on
    assert unseen(PAGE, "", "\n".join(printed)) == []
    assert walk.buckets(TENANT) == [] and not walk.project.stack_path(STACK).exists()
    assert STACK not in pulumi(walk, "stack", "ls")
    eventually(lambda: is_unknown(walk, TENANT, token))


def test_its_data_is_kept_like_any_other_s(walk: UserSession, token: str) -> None:
    walk.follow([ADD])
    eventually(lambda: walk.push_line(TENANT, LINE, token, "alone")[0] == 204, 90)
    done = tenants(walk, "remove", TENANT, "--json")
    assert f"The data of {TENANT} is kept in 3 buckets" in done.stderr and not walk.project.stack_path(STACK).exists()
    result = json.loads(done.stdout)
    assert "+++ /dev/null" in result["files"][walk.project.stack_path(STACK).name] and [*result["delete"]] == [TENANT]
    assert sorted(result["data"]["buckets"].values()) == sorted(walk.buckets(TENANT))
    assert STACK not in pulumi(walk, "stack", "ls")
    (kept,) = json.loads(tenants(walk, "data", "list", "--json").stdout)
    assert kept["tenant"] == TENANT and kept["objects"] >= 1
    assert "Nothing is left" in tenants(walk, "data", "purge", TENANT, "--yes").stderr
    assert walk.buckets(TENANT) == []
