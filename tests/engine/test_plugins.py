"""The contract of language host and plugins, by the real engine: the tests run in order, on one stack.

With OPSTRACE_TEST_PLUGINS set to a PULUMI_HOME that has them, the official plugins are held to it.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from tests.shell import OFFICIAL, ROOT, run

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
        """Return what an operation did, kind of change to count."""
        done = run("pulumi", "--non-interactive", *arguments, "--json", cwd=self.folder, env=self.shell)
        return dict(json.loads(done.stdout[done.stdout.index("{") :]).get("changeSummary", {}))

    def state(self) -> str:
        return str(run("pulumi", "stack", "export", cwd=self.folder, env=self.shell).stdout)

    def client(self, service: str):
        url = self.shell["AWS_ENDPOINT_URL_S3" if service == "s3" else "AWS_ENDPOINT_URL"]
        keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
        return boto3.client(service, "us-west-2", endpoint_url=url, verify=self.shell["AWS_CA_BUNDLE"], **keys)


@pytest.fixture(scope="module")
def stack(cloud: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("program")
    shutil.copy(ROOT / "tests" / "engine" / "program.py", folder / "__main__.py")
    (folder / "Pulumi.yaml").write_text(
        f"name: contract\nruntime:\n  name: python\n  options:\n    virtualenv: {ROOT / '.venv'}\n"
    )
    made = Stack(folder, cloud | OFFICIAL)
    made.pulumi("stack", "init", "test")
    yield made
    made.pulumi("destroy", "--yes", "--skip-preview")
    made.pulumi("stack", "rm", "--yes")


def test_preview_shows_what_is_not_known_yet_and_makes_nothing(stack: Stack) -> None:
    assert stack.summary("preview")["create"] == 8
    found = [entry["Name"] for entry in stack.client("s3").list_buckets()["Buckets"]]
    assert [name for name in found if name.startswith("contract-")] == []  # others have their own in this cloud


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
    # Another version takes the place of ours, which stays as it is: its stage alone shows it.
    stack.client("secretsmanager").put_secret_value(SecretId="contract", SecretString="mine")
    stack.pulumi("up", "--yes", "--skip-preview", "--refresh")
    found = run(
        "kubectl", "-n", "contract", "get", "configmap", "map", "-o", "jsonpath={.data.bucket}", env=stack.shell
    )
    assert found.stdout == bucket
    tags = stack.client("s3").get_bucket_tagging(Bucket=bucket)["TagSet"]
    assert tags == [{"Key": "colour", "Value": "blue"}]
    secret = stack.client("secretsmanager").get_secret_value(SecretId="contract")
    assert (secret["SecretString"], secret["VersionStages"]) == ("canary-of-the-test", ["AWSCURRENT"])


def test_what_is_deleted_by_hand_is_made_again(stack: Stack) -> None:
    run("kubectl", "-n", "contract", "delete", "configmap", "map", env=stack.shell)
    stack.pulumi("up", "--yes", "--skip-preview", "--refresh")
    run("kubectl", "-n", "contract", "get", "configmap", "map", env=stack.shell)


@stand_in_only
def test_what_is_there_already_is_not_taken_over(stack: Stack) -> None:
    run("kubectl", "create", "namespace", "contract3", env=stack.shell)
    stack.pulumi("config", "set", "space", "contract3")
    said = stack.pulumi("up", "--yes", "--skip-preview", check=False)
    assert "Namespace contract3 is there already" in said and "pulumi import" in said
    run("kubectl", "delete", "namespace", "contract3", env=stack.shell)
    stack.pulumi("config", "rm", "space")
    stack.pulumi("up", "--yes", "--skip-preview")


def test_import_takes_over_what_is_there(stack: Stack) -> None:
    run("kubectl", "create", "namespace", "imported", env=stack.shell)
    # Code is generated from the plugin's schema, which is part of the official ones alone.
    options = ("--yes", "--protect=false", "--generate-code=false")
    stack.pulumi("import", "kubernetes:core/v1:Namespace", "imported", "imported", *options)
    assert '"imported"' in stack.state()
    stack.pulumi("up", "--yes", "--skip-preview")  # not in the program: it goes
    assert run("kubectl", "get", "namespace", "imported", env=stack.shell, check=False).returncode != 0


def test_a_workload_that_fails_says_why(stack: Stack) -> None:
    stack.pulumi("config", "set", "broken", "yes")
    said = stack.pulumi("up", "--yes", "--skip-preview", check=False)
    assert "0 of 1 pods" in said
    assert "ImagePull" in said or "Failed to pull image" in said
    stack.pulumi("config", "rm", "broken")
    stack.pulumi("up", "--yes", "--skip-preview")


@stand_in_only
def test_an_input_that_the_stand_in_does_not_know_is_refused(stack: Stack) -> None:
    program = stack.folder / "__main__.py"
    before = program.read_text()
    program.write_text(before.replace("    tags={", "    object_lock_enabled=True,\n    tags={", 1))
    said = stack.pulumi("preview", check=False)
    program.write_text(before)
    assert "objectLockEnabled" in said
