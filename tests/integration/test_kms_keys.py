"""KMS keys of an instance on a bare cloud with a real engine: drift, changes of keys, a crash, and data that is adopted.

The tests run in order on one instance. tests/integration/test_aws_keys.py has what roles may do with the keys.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.core.resource_names import BUCKET_TYPE, ENCRYPTION_TYPE, SECRET_TYPE, STATEFUL_SET_TYPE
from tests.support.stack import INSTANCE, TEMPORARY, Stack

S3_OWN = "AES256"
BUCKETS = 9  # of `system` and of two tenants
ROLES = 3
ADOPT = ("tenants", "data", "adopt", "aws", INSTANCE, TEMPORARY)


class Deployed:
    """An instance with keys, and what AWS has of it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._kms, self.s3, self.secrets = (stack.cloud.aws(name) for name in ("kms", "s3", "secretsmanager"))
        self.first, self.second, self.third = (self._kms.create_key()["KeyMetadata"]["Arn"] for _ in range(3))

    def write(self, phase: str = "add", **keys: Any) -> None:
        """Write the stack file with these keys; in the phase `create` without the second tenant."""
        settings = self.stack.settings(phase)
        account = settings["aws"] | ({"kmsKeys": keys} if keys else {})
        self.stack.write_settings(settings | {"aws": account})

    def keys_of_buckets(self) -> list[str]:
        """Return the key of each bucket of the state, or the algorithm where S3 has keys of its own."""
        return [self.key_of(entry["id"]) for entry in self.stack.of_type(BUCKET_TYPE)]

    def key_of(self, bucket: str) -> str:
        """Return the key of a bucket, or the algorithm."""
        answer = self.s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
        (rule,) = answer["Rules"]
        default = rule["ApplyServerSideEncryptionByDefault"]
        assert rule["BucketKeyEnabled"] == ("KMSMasterKeyID" in default)
        return str(default.get("KMSMasterKeyID") or default["SSEAlgorithm"])

    def keys_of_secrets(self) -> set[str | None]:
        """Return the keys of the secrets, None for that of Secrets Manager; all of them have a value."""
        arns = [entry["id"] for entry in self.stack.of_type(SECRET_TYPE)]
        assert len(arns) == 2 and all(
            json.loads(self.secrets.get_secret_value(SecretId=arn)["SecretString"]) is not None for arn in arns
        )
        return {self.secrets.describe_secret(SecretId=arn).get("KmsKeyId") for arn in arns}

    def forget(self, urn: str, file: Path) -> None:
        """Take a resource out of the state, by way of a file."""
        state = json.loads(self.stack.run("pulumi", "stack", "export", "--stack", INSTANCE).stdout)
        kept = [entry for entry in state["deployment"]["resources"] if entry["urn"] != urn]
        for entry in kept:
            entry["dependencies"] = [other for other in entry.get("dependencies", []) if other != urn]
            needed = entry.get("propertyDependencies") or {}
            entry["propertyDependencies"] = {
                name: [other for other in urns or [] if other != urn] for name, urns in needed.items()
            }
        state["deployment"]["resources"] = kept
        file.write_text(json.dumps(state))
        self.stack.run("pulumi", "stack", "import", "--file", str(file), "--stack", INSTANCE)

    def pods(self) -> dict[str, Any]:
        """Return the templates of the pods by URN: where they stay, no pod restarts."""
        return {entry["urn"]: entry["inputs"]["spec"]["template"] for entry in self.stack.of_type(STATEFUL_SET_TYPE)}


@pytest.fixture(scope="module")
def deployed(bare_stack: Stack) -> Iterator[Deployed]:
    instance = Deployed(bare_stack)
    bare_stack.on_delete, on_delete = "retain", bare_stack.on_delete
    bare_stack.file.unlink(missing_ok=True)
    instance.write()
    bare_stack.engine().ensure_stack()
    bare_stack.up()
    yield instance
    if bare_stack.engine().exists():
        bare_stack.opstrace("destroy", "aws", INSTANCE, "--purge", "--yes", "--force")
    bare_stack.on_delete = on_delete


def test_keys_come_to_an_instance_in_place_and_restart_no_pod(deployed: Deployed) -> None:
    assert deployed.keys_of_buckets() == [S3_OWN] * BUCKETS and deployed.stack.of_type(ENCRYPTION_TYPE) == []
    pods = deployed.pods()
    deployed.write(buckets=deployed.first, secrets=deployed.first)
    assert deployed.stack.changes() == {"create": BUCKETS, "update": ROLES + 2}
    deployed.stack.up()
    assert deployed.keys_of_buckets() == [deployed.first] * BUCKETS
    assert deployed.keys_of_secrets() == {deployed.first} and deployed.pods() == pods
    assert deployed.stack.is_as_declared()


def test_keys_that_were_changed_by_hand_show_and_are_healed(deployed: Deployed) -> None:
    (first, second, *_) = deployed.stack.of_type(BUCKET_TYPE)
    deployed.s3.delete_bucket_encryption(Bucket=first["id"])
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": deployed.third}
    rules = [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]
    deployed.s3.put_bucket_encryption(Bucket=second["id"], ServerSideEncryptionConfiguration={"Rules": rules})
    (secret, _) = deployed.stack.of_type(SECRET_TYPE)
    deployed.secrets.update_secret(SecretId=secret["id"], KmsKeyId=deployed.third)
    assert not deployed.stack.is_as_declared()
    deployed.stack.up("--refresh")
    assert deployed.keys_of_buckets() == [deployed.first] * BUCKETS and deployed.keys_of_secrets() == {deployed.first}
    assert deployed.stack.is_as_declared()


def test_a_key_that_a_crash_lost_is_found_again(deployed: Deployed, tmp_path: Path) -> None:
    """As after a killed plugin: the engine notes nothing, but the bucket has its key."""
    (lost, *_) = deployed.stack.of_type(ENCRYPTION_TYPE)
    deployed.forget(lost["urn"], tmp_path / "state.json")
    deployed.stack.recover()
    assert lost["id"] in {entry["id"] for entry in deployed.stack.of_type(ENCRYPTION_TYPE)}
    assert deployed.stack.is_as_declared()


@pytest.mark.parametrize("keys", [{}, {"buckets": "second"}])
def test_an_update_that_takes_the_key_from_the_data_is_refused(deployed: Deployed, keys: dict[str, str]) -> None:
    deployed.write(**{setting: getattr(deployed, name) for setting, name in keys.items()})
    output = deployed.stack.up(check=False)
    assert f"no longer names {deployed.first}" in output and "Add it to opstrace:aws.kmsKeys.former" in output
    assert "Traceback" not in output and deployed.keys_of_buckets() == [deployed.first] * BUCKETS


def test_another_key_takes_its_place_and_roles_keep_the_former(deployed: Deployed) -> None:
    pods = deployed.pods()
    deployed.write(buckets=deployed.second, former=[deployed.first], secrets=deployed.second)
    assert deployed.stack.changes() == {"update": 2 * BUCKETS + ROLES + 2}  # tags of buckets record the former key
    deployed.stack.up()
    assert deployed.keys_of_buckets() == [deployed.second] * BUCKETS
    assert deployed.keys_of_secrets() == {deployed.second} and deployed.pods() == pods


def test_retained_data_is_adopted_with_its_key_and_no_other(deployed: Deployed) -> None:
    before = {entry["id"] for entry in deployed.stack.of_type(BUCKET_TYPE)}
    deployed.write("create", buckets=deployed.second, former=[deployed.first])
    deployed.stack.up()
    left = before - {entry["id"] for entry in deployed.stack.of_type(BUCKET_TYPE)}
    assert len(left) == 3 and {deployed.key_of(bucket) for bucket in left} == {deployed.second}
    for former, missing in ([deployed.first], deployed.second), ([deployed.second], deployed.first):
        deployed.write("create", buckets=deployed.third, former=former)
        refused = deployed.stack.opstrace(*ADOPT, check=False)
        assert refused.returncode and f"is encrypted by {missing}, which" in refused.stderr, refused.stderr
    deployed.write("create", buckets=deployed.third, former=[deployed.first, deployed.second])
    deployed.stack.opstrace(*ADOPT)
    assert deployed.keys_of_buckets() == [deployed.third] * BUCKETS
    assert len(deployed.stack.of_type(ENCRYPTION_TYPE)) == BUCKETS and deployed.stack.is_as_declared()


def test_without_keys_buckets_return_to_s3_s_own_and_secrets_are_replaced(deployed: Deployed) -> None:
    deployed.write(former=[deployed.third], secrets=deployed.third)
    deployed.stack.up()
    assert deployed.keys_of_buckets() == [S3_OWN] * BUCKETS and deployed.keys_of_secrets() == {deployed.third}
    deployed.write()
    changes = deployed.stack.changes()
    assert changes.pop("replace", 0) + changes.pop("delete-replaced", 0) >= 2, changes  # the secrets and their versions
    deployed.stack.up()
    assert deployed.keys_of_secrets() == {None} and deployed.stack.of_type(ENCRYPTION_TYPE) == []
    assert deployed.stack.is_as_declared()
