"""The embedded AWS beside a cluster that the user names: the node of the tests' own cloud stands for that one.

A cluster holds one instance, so this one comes and goes before the other tests make theirs: the file's name is its place.
"""

import json
import os
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import assert_nothing_left, entered, processes_of
from tests.e2e.walk import LABELS, LAUNCHER, Shell, Walk
from tests.e2e.walk import SLOT as CLUSTER_SLOT
from tests.shell import ROOT, run
from tests.waiting import eventually

INSTANCE, SLOT = "borrower", 8
CONTEXT = f"local-{CLUSTER_SLOT}"
STACK_FILE = ROOT / "stacks" / f"Pulumi.{INSTANCE}.yaml"


def url(api: str, path: str) -> str:
    return f"https://{api}.default.{INSTANCE}.opstrace.localhost:{8443 + SLOT}{path}"


@pytest.fixture(scope="module")
def borrower(cloud: Shell, base_environment: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    """A user of a second cloud, who names the first one's cluster and has an instance there."""
    STACK_FILE.unlink(missing_ok=True)  # of a run that was killed
    shell = base_environment | {"OPSTRACE_LOCAL_SLOT": str(SLOT), "KUBECONFIG": cloud["KUBECONFIG"]}
    folder = tmp_path_factory.mktemp("borrower")
    try:
        run(LAUNCHER, "create", "local", INSTANCE, "--tenant", "default", "--context", CONTEXT, cwd=folder, env=shell)
        yield Walk(folder, entered(shell))
        run(LAUNCHER, "destroy", "local", INSTANCE, "--purge", "--yes", cwd=folder, env=shell)
        assert "-tenant" not in run("kubectl", "get", "namespaces", "-o", "name", env=cloud).stdout
        _dies_whole_and_comes_back(shell)
    finally:
        run(LAUNCHER, "local", "down", env=shell)
        STACK_FILE.unlink(missing_ok=True)
    assert_nothing_left(SLOT)
    assert not (Path(base_environment["XDG_STATE_HOME"]) / "opstrace" / f"local-{SLOT}").exists()
    assert json.loads(run(LAUNCHER, "local", "status", "--json", env=cloud).stdout)["running"]


def _dies_whole_and_comes_back(shell: Shell) -> None:
    """Kill the process that holds the second cloud: the kernel ends the rest, and `up` knows the context again."""
    home = Path(shell["XDG_STATE_HOME"]) / "opstrace" / f"local-{SLOT}"
    os.kill(json.loads((home / "pid").read_text())["pid"], signal.SIGKILL)
    eventually(lambda: processes_of(SLOT) == [], 15)
    assert f"the cluster of the context {CONTEXT}" in run(LAUNCHER, "local", "up", env=shell).stderr


def _roles_taken(shell: Shell) -> set[str]:
    """Return the roles for which the STS of a cloud has given credentials."""
    with urllib.request.urlopen(f"{shell['AWS_ENDPOINT_URL']}/moto-api/data.json", timeout=20) as answer:
        taken: list[dict[str, Any]] = json.load(answer)["sts"]["AssumedRole"]
    return {entry["role_arn"].rsplit("/", 1)[-1] for entry in taken}


def test_the_tenant_s_token_opens_its_apis_at_the_second_cloud_s_load_balancer(borrower: Walk) -> None:
    assert borrower.curl(url("cortex", LABELS))[0] == 401
    assert borrower.curl(url("cortex", LABELS), token=borrower.token("default"))[0] == 200


def test_status_names_the_cluster_on_which_network_policies_depend(borrower: Walk) -> None:
    found = json.loads(borrower.opstrace("local", "status", "--json").stdout)
    assert (found["context"], found["network_policies_enforced"]) == (CONTEXT, None)
    assert borrower.kubectl("config", "current-context").strip() == CONTEXT  # plain kubectl means it too


def test_the_load_balancer_keeps_nothing_that_would_outlive_it(borrower: Walk) -> None:
    envoys = [
        process
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] == "envoy" and f"/opstrace/local-{SLOT}/" in " ".join(process.info["cmdline"])
    ]
    assert len(envoys) == 1
    assert not [entry.path for entry in envoys[0].memory_maps() if entry.path.startswith("/dev/shm")]


def test_a_log_line_goes_to_a_bucket_of_the_second_cloud_and_the_first_knows_nothing(
    borrower: Walk, cloud: Shell
) -> None:
    line = {"stream": {"job": "borrower"}, "values": [[str(time.time_ns()), "hello"]]}
    push = ["-H", "Content-Type: application/json", "-d", json.dumps({"streams": [line]})]
    assert borrower.curl(url("loki", "/loki/api/v1/push"), *push, token=borrower.token("default"))[0] == 204
    borrower.kubectl("-n", "default-tenant", "delete", "pod", "loki-0")  # what is in memory is flushed
    s3 = borrower.aws("s3")
    bucket = next(b["Name"] for b in s3.list_buckets()["Buckets"] if b["Name"].startswith(f"{INSTANCE}-default-logs-"))
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    assert [key for key in keys if key.startswith("default/")], keys

    # The cluster's own DNS leads to the first cloud's STS: it was the pods' host aliases that led to the second's.
    role = f"opstrace-{INSTANCE}-default"
    assert role in _roles_taken(borrower.shell) and role not in _roles_taken(cloud)
    first = Walk(borrower.folder, cloud)
    assert not [b["Name"] for b in first.aws("s3").list_buckets()["Buckets"] if b["Name"].startswith(INSTANCE)]
    assert not [entry for entry in first.aws("iam").list_roles()["Roles"] if INSTANCE in entry["RoleName"]]
