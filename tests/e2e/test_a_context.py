"""The embedded AWS with a cluster that the user names: the node of the tests' other cloud.

A cluster holds one instance. This module's name lets its instance come and go before the other tests create theirs.
"""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcloud.moto import account
from localcloud.settings import Settings
from tests.conftest import assert_nothing_left
from tests.support.cloud_processes import processes_of
from tests.support.polling import eventually
from tests.support.project import Project
from tests.support.shell import local_environment, run
from tests.support.user_session import LABELS, Shell, UserSession
from tests.support.user_session import SLOT as CLUSTER_SLOT

INSTANCE, SLOT = "borrower", 8
CONTEXT = f"local-{CLUSTER_SLOT}"
SHARED_MEMORY = Path("/dev", "shm")


def url(api: str, path: str) -> str:
    return f"https://{api}.default.{INSTANCE}.opstrace.localhost:{8443 + SLOT}{path}"


@pytest.fixture(scope="module")
def borrower(
    cloud: Shell, base_environment: Shell, project: Project, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[UserSession]:
    """A user of a second cloud, with an instance in the first cloud's cluster."""
    shell = base_environment | {"OPSTRACE_LOCAL_SLOT": str(SLOT), "KUBECONFIG": cloud["KUBECONFIG"]}
    folder, launcher = tmp_path_factory.mktemp("borrower"), project.launcher
    try:
        run(launcher, "create", "local", INSTANCE, "--tenant", "default", "--context", CONTEXT, cwd=folder, env=shell)
        yield UserSession(folder, local_environment(launcher, shell), project)
        run(launcher, "destroy", "local", INSTANCE, "--purge", "--yes", cwd=folder, env=shell)
        assert "-tenant" not in run("kubectl", "get", "namespaces", "-o", "name", env=cloud).stdout
        _restart_after_kill(launcher, shell)
    finally:
        run(launcher, "local", "down", env=shell)
    assert_nothing_left(SLOT)
    assert not (Path(base_environment["XDG_STATE_HOME"]) / "opstrace" / f"local-{SLOT}").exists()
    assert json.loads(run(launcher, "local", "status", "--json", env=cloud).stdout)["running"]


def _restart_after_kill(launcher: str, shell: Shell) -> None:
    """Kill the main process of the second cloud: the kernel ends the rest, and `up` remembers the context."""
    home = Path(shell["XDG_STATE_HOME"]) / "opstrace" / f"local-{SLOT}"
    os.kill(json.loads((home / "pid").read_text())["pid"], signal.SIGKILL)
    eventually(lambda: processes_of(SLOT) == [], 15)
    assert f"the cluster of the context {CONTEXT}" in run(launcher, "local", "up", env=shell).stderr


def _roles_taken(shell: Shell) -> set[str]:
    """Return the roles for which the STS of a cloud has issued credentials."""
    settings = Settings.of(int(shell["OPSTRACE_LOCAL_SLOT"]), Path(shell["AWS_CA_BUNDLE"]).parents[1])
    taken: list[dict[str, Any]] = json.loads(account.control(settings, "GET", "/moto-api/data.json"))["sts"][
        "AssumedRole"
    ]
    return {entry["role_arn"].rsplit("/", 1)[-1] for entry in taken}


def test_the_tenant_s_token_opens_its_apis_at_the_second_cloud_s_load_balancer(borrower: UserSession) -> None:
    assert borrower.curl(url("cortex", LABELS))[0] == 401
    assert borrower.curl(url("cortex", LABELS), token=borrower.token("default"))[0] == 200


def test_status_names_the_cluster_on_which_network_policies_depend(borrower: UserSession) -> None:
    status = json.loads(borrower.opstrace("local", "status", "--json").stdout)
    assert (status["context"], status["network_policies_enforced"]) == (CONTEXT, None)
    assert borrower.kubectl("config", "current-context").strip() == CONTEXT  # kubectl without options uses it, too


def test_the_load_balancer_keeps_nothing_that_would_outlive_it(borrower: UserSession) -> None:
    (envoy,) = processes_of(SLOT, "envoy")
    assert not [entry.path for entry in envoy.memory_maps() if Path(entry.path).is_relative_to(SHARED_MEMORY)]


def test_a_log_line_goes_to_a_bucket_of_the_second_cloud_and_the_first_knows_nothing(
    borrower: UserSession, cloud: Shell
) -> None:
    line = {"stream": {"job": "borrower"}, "values": [[str(time.time_ns()), "hello"]]}
    push = ["-H", "Content-Type: application/json", "-d", json.dumps({"streams": [line]})]
    assert borrower.curl(url("loki", "/loki/api/v1/push"), *push, token=borrower.token("default"))[0] == 204
    borrower.kubectl("-n", "default-tenant", "delete", "pod", "loki-0")  # flushes the lines in memory
    s3 = borrower.aws("s3")
    bucket = next(b["Name"] for b in s3.list_buckets()["Buckets"] if b["Name"].startswith(f"{INSTANCE}-default-logs-"))
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    assert [key for key in keys if key.startswith("default/")], keys

    # The cluster's DNS resolves to the first cloud's STS; the pods' host aliases resolve to the second's.
    role = f"opstrace-{INSTANCE}-default"
    assert role in _roles_taken(borrower.shell) and role not in _roles_taken(cloud)
    first = UserSession(borrower.folder, cloud, borrower.project)
    assert not [b["Name"] for b in first.aws("s3").list_buckets()["Buckets"] if b["Name"].startswith(INSTANCE)]
    assert not [entry for entry in first.aws("iam").list_roles()["Roles"] if INSTANCE in entry["RoleName"]]
