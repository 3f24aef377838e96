"""What an AWS account wants of the roles of tenants: a permissions boundary and a path."""

from typing import Any

import pytest

from components.config.load import from_settings
from components.core.errors import ConfigError
from components.core.resource_names import ROLE_TYPE
from components.tenant.base import TenantBase
from tests.support.factories import CLUSTER, settings
from tests.support.pulumi_mocks import declared

TENANTS = [{"name": "default", "alertmanager": {"enabled": True}}]
BOUNDARY = "arn:aws:iam::123456789012:policy/bounds/observability"
RULES = {"region": "us-west-2", "permissionsBoundary": BOUNDARY, "rolePath": "/observability/"}


def roles(aws: dict[str, str]) -> list[dict[str, Any]]:
    found = [entry.inputs for entry in declared(settings(tenants=TENANTS, aws=aws)) if entry.typ == ROLE_TYPE]
    assert len(found) == 3  # of `system`, of the tenant, of its Alertmanager
    return found


def test_every_role_follows_the_account() -> None:
    assert {(role["path"], role["permissionsBoundary"]) for role in roles(RULES)} == {("/observability/", BOUNDARY)}
    assert not any(role.keys() & {"path", "permissionsBoundary"} for role in roles({"region": "us-west-2"}))


def test_a_tenant_in_its_own_stack_follows_the_account() -> None:
    config = from_settings(settings(aws=RULES), "showdown")
    exported = {"instance": "showdown", "domain": "showdown.example.com", "port": 443, "zoneId": "Z1", "tags": {}}
    exported |= {"listenerArn": "arn", "entranceDnsName": "lb.example", "tenantDefaults": {}, "cluster": CLUSTER}
    base = TenantBase.imported(exported | {"aws": config.aws.model_dump(by_alias=True, exclude_none=True)})
    assert (base.role_rules.path, base.role_rules.permissions_boundary) == ("/observability/", BOUNDARY)


@pytest.mark.parametrize(
    ("aws", "told"),
    [
        ({"rolePath": "observability"}, "aws.rolePath: must be a path that begins and ends with a slash"),
        ({"rolePath": "/a//b/"}, "aws.rolePath: must be a path"),
        ({"rolePath": f"/{'a' * 511}/"}, "aws.rolePath: must have at most 512 characters"),
        ({"permissionsBoundary": "observability"}, "aws.permissionsBoundary: must be the ARN of an IAM policy"),
        (
            {"permissionsBoundary": BOUNDARY.replace("123456789012", "210987654321")},
            "is a policy of the account 210987654321, but the roles are in 123456789012",
        ),
    ],
)
def test_what_iam_would_refuse_is_refused(aws: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match="1 problem") as refused:
        from_settings(settings(aws={"region": "us-west-2", **aws}), "showdown")
    assert told in str(refused.value)


def test_a_policy_of_aws_may_bound_roles() -> None:
    aws = {"region": "us-west-2", "permissionsBoundary": "arn:aws:iam::aws:policy/AmazonS3FullAccess"}
    assert from_settings(settings(aws=aws), "showdown").aws.permissions_boundary == aws["permissionsBoundary"]
