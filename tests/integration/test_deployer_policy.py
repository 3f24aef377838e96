"""The life of an instance on a bare cloud, by an IAM user that has the deployer's policies and nothing else."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID

from components.config.load import from_settings
from scripts.instances.deployer.policy import DEPLOYER, document, rights, scope_of
from tests.support.aws_users import USER, make_user, remove_user, without
from tests.support.stack import INSTANCE, Stack, assert_nothing_orphaned_or_lost

PATH = "/observability/"


class Deployed(Stack):
    """The stack of an account that wants a path and a boundary for roles, and keys of its own, with the deployer's credentials."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack.cloud, stack.project)
        self.on_delete = "retain"  # `destroy --purge` purges the data then
        self.iam = stack.cloud.aws("iam")
        self.key = str(stack.cloud.aws("kms").create_key()["KeyMetadata"]["Arn"])
        self.boundary = f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:policy/boundary"
        scope = scope_of(INSTANCE, from_settings(self.settings("create"), INSTANCE))
        boundary = json.dumps(document(rights("boundary", scope)))
        self.iam.create_policy(PolicyName="boundary", PolicyDocument=boundary)
        self.policies: dict[str, Any] = {part: document(rights(part, scope)) for part in DEPLOYER}
        key = make_user(self.iam, self.policies)
        self.environment = self.environment | {name.upper(): value for name, value in key.items()}

    def settings(self, phase: str) -> dict[str, Any]:
        settings = super().settings(phase)
        keys = {"buckets": self.key, "secrets": self.key}
        account = {"rolePath": PATH, "permissionsBoundary": self.boundary, "kmsKeys": keys}
        return settings | {"aws": settings["aws"] | account}

    def permit(self, part: str, policy: dict[str, Any]) -> None:
        """Replace one of the deployer's policies."""
        attached = self.iam.list_attached_user_policies(UserName=USER)["AttachedPolicies"]
        (arn,) = [entry["PolicyArn"] for entry in attached if entry["PolicyName"] == part]
        self.iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(policy), SetAsDefault=True)

    def close(self) -> None:
        for policy in self.iam.list_attached_user_policies(UserName=USER)["AttachedPolicies"]:
            for version in self.iam.list_policy_versions(PolicyArn=policy["PolicyArn"])["Versions"]:
                if not version["IsDefaultVersion"]:
                    self.iam.delete_policy_version(PolicyArn=policy["PolicyArn"], VersionId=version["VersionId"])
        remove_user(self.iam)
        self.iam.delete_policy(PolicyArn=self.boundary)


@pytest.fixture(scope="module")
def deployed(bare_stack: Stack) -> Iterator[Deployed]:
    stack = Deployed(bare_stack)
    yield stack
    stack.environment = bare_stack.environment
    if stack.engine().exists():  # a test failed in the middle
        stack.opstrace("destroy", "aws", INSTANCE, "--purge", "--yes", "--force")
    stack.close()


def test_the_deployer_s_policies_are_enough_for_the_life_of_an_instance(deployed: Deployed) -> None:
    deployed.prepare("create")
    deployed.permit("data", without(deployed.policies["data"], ["GrantToRoles"]))
    failed = deployed.attempt("create")
    told = " ".join((failed.stdout + failed.stderr).split())
    assert failed.returncode, told
    role = f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:role{PATH}opstrace-{INSTANCE}-"
    assert f"user/{USER} is not authorized to perform: iam:CreateRole on resource: {role}" in told, told
    deployed.permit("data", deployed.policies["data"])
    deployed.next_run("create", by_verb=True)  # finds what the failed update left
    deployed.uninterrupted("change")  # also adds a tenant
    assert deployed.is_as_declared()
    deployed.uninterrupted("delete")
    assert_nothing_orphaned_or_lost(deployed, "delete", deployed.resources())
    deployed.uninterrupted("destroy")
    assert_nothing_orphaned_or_lost(deployed, "destroy", deployed.resources())
