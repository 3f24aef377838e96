"""The contract of language host and plugins, by the real engine; the tests run in order on one stack.

With OPSTRACE_TEST_PLUGINS, a PULUMI_HOME, the official plugins are tested instead of the stand-ins.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from components.core.resource_names import NAMESPACE_TYPE
from tests.support.shell import OFFICIAL, ROOT, administrator, run

Shell = dict[str, str]
stand_in_only = pytest.mark.skipif(
    bool(OFFICIAL), reason="a promise of the stand-ins alone; OPSTRACE_TEST_PLUGINS is set"
)


class Stack:
    """The engine on the test program."""

    def __init__(self, folder: Path, shell: Shell) -> None:
        self.folder, self.shell = folder, shell

    def pulumi(self, *arguments: str, check: bool = True) -> str:
        done = run("pulumi", "--non-interactive", *arguments, cwd=self.folder, env=self.shell, check=check)
        return str(done.stdout + done.stderr)

    def summary(self, *arguments: str) -> dict[str, int]:
        """Return the counts of an operation's changes by kind."""
        done = run("pulumi", "--non-interactive", *arguments, "--json", cwd=self.folder, env=self.shell)
        return dict(json.loads(done.stdout[done.stdout.index("{") :]).get("changeSummary", {}))

    def state(self) -> str:
        return str(run("pulumi", "stack", "export", cwd=self.folder, env=self.shell).stdout)

    def client(self, service: str) -> Any:
        url = self.shell["AWS_ENDPOINT_URL_S3" if service == "s3" else "AWS_ENDPOINT_URL"]
        keys = administrator(self.shell)
        return boto3.client(service, "us-west-2", endpoint_url=url, verify=self.shell["AWS_CA_BUNDLE"], **keys)


@pytest.fixture(scope="module")
def stack(cloud: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("program")
    shutil.copy(ROOT / "tests" / "support" / "plugin_program.py", folder / "__main__.py")
    (folder / "Pulumi.yaml").write_text(
        f"name: contract\nruntime:\n  name: python\n  options:\n    virtualenv: {ROOT / '.venv'}\n"
    )
    stack = Stack(folder, cloud | OFFICIAL)
    stack.pulumi("stack", "init", "test")
    yield stack
    stack.pulumi("destroy", "--yes", "--skip-preview")
    stack.pulumi("stack", "rm", "--yes")


def test_preview_shows_unknown_values_and_creates_nothing(stack: Stack) -> None:
    assert stack.summary("preview")["create"] == 8
    buckets = [entry["Name"] for entry in stack.client("s3").list_buckets()["Buckets"]]
    assert [name for name in buckets if name.startswith("contract-")] == []  # other tests have buckets in this cloud


def test_up_makes_it_and_a_second_up_changes_nothing(stack: Stack) -> None:
    stack.pulumi("up", "--yes", "--skip-preview")
    bucket = stack.pulumi("stack", "output", "bucket").strip()
    assert bucket in [entry["Name"] for entry in stack.client("s3").list_buckets()["Buckets"]]
    assert stack.summary("preview", "--refresh") == {"same": 8}


def test_secrets_stand_in_no_state(stack: Stack) -> None:
    stack.pulumi("refresh", "--yes")
    assert "canary-of-the-test" not in stack.state()


def test_a_changed_tag_is_an_update_in_place(stack: Stack) -> None:
    stack.pulumi("config", "set", "colour", "blue")
    assert stack.summary("preview") == {"same": 7, "update": 1}
    stack.pulumi("up", "--yes", "--skip-preview")


def test_a_changed_namespace_name_is_a_replacement(stack: Stack) -> None:
    stack.pulumi("config", "set", "space", "contract2")
    assert stack.summary("preview")["replace"] == 2
    stack.pulumi("config", "rm", "space")


def test_drift_is_seen_and_healed(stack: Stack) -> None:
    run("kubectl", "-n", "contract", "patch", "configmap", "map", "-p", '{"data":{"bucket":"other"}}', env=stack.shell)
    bucket = stack.pulumi("stack", "output", "bucket").strip()
    stack.client("s3").put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "colour", "Value": "green"}]})
    # A new version takes over the stage AWSCURRENT from ours, which is unchanged otherwise.
    stack.client("secretsmanager").put_secret_value(SecretId="contract", SecretString="mine")
    stack.pulumi("up", "--yes", "--skip-preview", "--refresh")
    result = run(
        "kubectl", "-n", "contract", "get", "configmap", "map", "-o", "jsonpath={.data.bucket}", env=stack.shell
    )
    assert result.stdout == bucket
    tags = stack.client("s3").get_bucket_tagging(Bucket=bucket)["TagSet"]
    assert tags == [{"Key": "colour", "Value": "blue"}]
    secret = stack.client("secretsmanager").get_secret_value(SecretId="contract")
    assert (secret["SecretString"], secret["VersionStages"]) == ("canary-of-the-test", ["AWSCURRENT"])


def test_a_resource_deleted_by_hand_is_created_again(stack: Stack) -> None:
    run("kubectl", "-n", "contract", "delete", "configmap", "map", env=stack.shell)
    stack.pulumi("up", "--yes", "--skip-preview", "--refresh")
    run("kubectl", "-n", "contract", "get", "configmap", "map", env=stack.shell)


@stand_in_only
def test_an_existing_resource_is_not_taken_over(stack: Stack) -> None:
    run("kubectl", "create", "namespace", "contract3", env=stack.shell)
    stack.pulumi("config", "set", "space", "contract3")
    output = stack.pulumi("up", "--yes", "--skip-preview", check=False)
    assert "Namespace contract3 already exists" in output and "pulumi import" in output
    run("kubectl", "delete", "namespace", "contract3", env=stack.shell)
    stack.pulumi("config", "rm", "space")
    stack.pulumi("up", "--yes", "--skip-preview")


def test_import_takes_over_an_existing_resource(stack: Stack) -> None:
    run("kubectl", "create", "namespace", "imported", env=stack.shell)
    # Only official plugins have a schema, from which code is generated.
    options = ("--yes", "--protect=false", "--generate-code=false")
    stack.pulumi("import", NAMESPACE_TYPE, "imported", "imported", *options)
    assert '"imported"' in stack.state()
    stack.pulumi("up", "--yes", "--skip-preview")  # deletes it, since the program does not declare it
    assert run("kubectl", "get", "namespace", "imported", env=stack.shell, check=False).returncode != 0


def test_a_workload_that_fails_says_why(stack: Stack) -> None:
    stack.pulumi("config", "set", "broken", "yes")
    output = stack.pulumi("up", "--yes", "--skip-preview", check=False)
    assert "0 of 1 pods" in output
    assert "ImagePull" in output or "Failed to pull image" in output
    stack.pulumi("config", "rm", "broken")
    stack.pulumi("up", "--yes", "--skip-preview")


@stand_in_only
def test_an_input_that_the_stand_in_does_not_know_is_refused(stack: Stack) -> None:
    program = stack.folder / "__main__.py"
    before = program.read_text()
    program.write_text(before.replace("    tags={", "    object_lock_enabled=True,\n    tags={", 1))
    output = stack.pulumi("preview", check=False)
    program.write_text(before)
    assert "objectLockEnabled" in output
