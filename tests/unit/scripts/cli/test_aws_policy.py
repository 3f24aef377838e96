"""`aws-policy` prints the policies of a deployer, with the values of a stack file."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from components.core.errors import UserError
from scripts.cli.aws_policy import aws_policy
from scripts.stackfile.file import StackFile
from tests.support.contexts import FakeContext, invoke
from tests.support.shell import ROOT

BOUNDARY = "arn:aws:iam::123456789012:policy/boundary"
KEY, OTHER_KEY = (
    f"arn:aws:kms:us-west-2:123456789012:key/{number:08}-12ab-34cd-56ef-1234567890ab" for number in (1, 2)
)


def run(stack: Path, *arguments: str) -> Result:
    return invoke(FakeContext(stack.parent), aws_policy, "showdown", *arguments)


def statements(done: Result) -> dict[str, dict[str, Any]]:
    return {statement["Sid"]: statement for statement in json.loads(done.stdout)["Statement"]}


def test_a_policy_has_the_values_of_the_stack_file(stack: Path) -> None:
    file = StackFile("showdown", stack.parent)
    file.set("aws", {"region": "us-west-2", "rolePath": "/observability/", "permissionsBoundary": BOUNDARY})
    file.set("dataApi", {})  # `create` makes the first key later
    file.write()
    before = stack.read_text()
    network, data = run(stack, "network"), run(stack, "data")
    assert (network.stderr, data.stderr) == ("", "")
    names = statements(network)["Records"]["Condition"]["ForAllValues:StringLike"]
    assert [*names.values()] == [["showdown.example.com", "*.showdown.example.com"]]
    (group,) = statements(network)["NodeSecurityGroup"]["Resource"]
    assert group == "arn:aws:ec2:us-west-2:123456789012:security-group/sg-1"
    granted = statements(data)["GrantToRoles"]
    assert granted["Resource"][0] == "arn:aws:iam::123456789012:role/observability/opstrace-showdown-*"
    assert granted["Condition"] == {"StringEquals": {"iam:PermissionsBoundary": BOUNDARY}}
    assert stack.read_text() == before


def test_without_a_boundary_a_warning_says_how_to_make_one(stack: Path) -> None:
    done = run(stack, "data")
    assert "has no aws.permissionsBoundary" in done.stderr and "aws-policy showdown boundary" in done.stderr
    assert "Condition" not in statements(done)["GrantToRoles"]
    assert run(stack, "network").stderr == "" and run(stack, "boundary").stderr == ""


@pytest.mark.parametrize(
    ("part", "added"),
    [
        ("network", set()),
        ("data", {"Keys", "SecretsKey", "FormerSecretsKeys", "StateBucket", "State", "StateKey"}),
        ("boundary", {"BucketKeys"}),
    ],
)
def test_keys_and_the_state_add_statements(stack: Path, part: str, added: set[str]) -> None:
    before = statements(run(stack, part))
    file = StackFile("showdown", stack.parent)
    keys = {"buckets": KEY, "former": [OTHER_KEY], "secrets": KEY}
    file.set("aws", {"region": "us-west-2", "kmsKeys": keys})
    file.write()
    found = statements(run(stack, part, "--state-bucket", "state", "--state-key", KEY))
    assert found.keys() - before.keys() == added
    assert all(found[sid]["Resource"] == [KEY, OTHER_KEY] for sid in ("Keys", "BucketKeys") if sid in added)


def test_the_cluster_s_name_comes_from_the_context_of_the_example(tmp_path: Path) -> None:
    example = (ROOT / "stacks" / "Pulumi.example-aws.yaml").read_text()
    (tmp_path / "Pulumi.showdown.yaml").write_text(example)
    found = statements(run(tmp_path / "x", "data"))["Cluster"]["Resource"]
    assert found[0] == "arn:aws:eks:us-west-2:111122223333:cluster/observability"


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("--state-bucket", "*", "is no name of a bucket"),
        ("--state-bucket", "s3://state", "leave out s3://"),
        ("--state-bucket", "state/prefix", "is no name of a bucket"),
        ("--state-key", "alias/state", "is an alias"),
        ("--state-key", "arn:aws:kms:us-west-2:123456789012:key/*", "is not the ARN of a KMS key"),
        ("--state-key", KEY.replace("aws", "aws-us-gov"), "is in another AWS partition"),
    ],
)
def test_a_bucket_or_a_key_that_a_policy_cannot_name_is_refused(
    stack: Path, option: str, value: str, problem: str
) -> None:
    done = run(stack, "data", option, value)
    told = str(done.exception)
    assert isinstance(done.exception, UserError) and done.stdout == ""
    assert f"{option}: {value!r}" in told and problem in told


@pytest.mark.parametrize(
    ("section", "setting", "value"),
    [
        ("cluster", "name", "*"),
        ("cluster", "nodeSecurityGroupId", "sg-*"),
        ("cluster", "oidcProviderArn", "arn:aws:iam::123456789012:oidc-provider/*"),
        ("loadBalancer", "vpcId", "vpc-?"),
    ],
)
def test_a_setting_that_a_policy_would_read_as_a_pattern_is_refused(
    stack: Path, section: str, setting: str, value: str
) -> None:
    file = StackFile("showdown", stack.parent)
    file.entry(section)[setting] = value
    file.write()
    done = run(stack, "network")
    told = str(done.exception)
    assert isinstance(done.exception, UserError) and done.stdout == ""
    assert f"opstrace:{section}.{setting}: must be" in told and repr(value) in told
