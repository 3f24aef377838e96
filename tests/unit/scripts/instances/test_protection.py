"""`destroy` refuses before it changes anything while AWS protects the load balancer."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import moto
import pytest

from components.core.resource_names import LOAD_BALANCER_TYPE
from scripts.cli.instances import destroy
from tests.support.checked_account import Services
from tests.support.contexts import FakeContext, invoke

PROTECTION = "deletion_protection.enabled"


class Engine:
    """An engine on a stack with a load balancer; `destroyed` says whether it was destroyed."""

    def __init__(self, arn: str) -> None:
        self.instance, self.arn, self.destroyed = "showdown", arn, False

    def stacks(self) -> list[str]:
        return [self.instance]

    def resources(self) -> list[dict[str, Any]]:
        return [{"urn": "urn::entrance", "type": LOAD_BALANCER_TYPE, "id": self.arn, "inputs": {}}]

    def destroy(self, *_: Any) -> None:
        self.destroyed = True

    def require_nothing_left_alone(self) -> None:
        """Do nothing: no resource is left."""


@pytest.fixture
def aws() -> Iterator[Services]:
    with moto.mock_aws():
        yield Services()


def balancer(aws: Services) -> str:
    subnet = aws["ec2"].describe_subnets()["Subnets"][0]["SubnetId"]
    created = aws["elbv2"].create_load_balancer(Name="opstrace-showdown", Type="network", Subnets=[subnet])
    return str(created["LoadBalancers"][0]["LoadBalancerArn"])


def protect(aws: Services, arn: str, value: str) -> None:
    attributes = [{"Key": PROTECTION, "Value": value}]
    aws["elbv2"].modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=attributes)


def test_destroy_names_the_remedy_while_the_load_balancer_is_protected(aws: Services, stack: Path) -> None:
    arn = balancer(aws)
    engine = Engine(arn)
    context = FakeContext(stack.parent, lambda stack: engine, aws=aws)
    protect(aws, arn, "true")
    for options in (["--yes"], ["--yes", "--purge"], ["--yes", "--force"]):
        refused = invoke(context, destroy, "aws", "showdown", *options)
        said = str(refused.exception)
        assert refused.exit_code == 1 and not engine.destroyed and stack.exists()
        assert "opstrace:loadBalancer.deletionProtection to false" in said and "pulumi up --refresh" in said
    protect(aws, arn, "false")
    done = invoke(context, destroy, "aws", "showdown", "--yes")
    assert done.exit_code == 0, done.output
    assert engine.destroyed


def test_a_load_balancer_that_is_gone_is_not_protected(aws: Services, stack: Path) -> None:
    arn = balancer(aws)
    aws["elbv2"].delete_load_balancer(LoadBalancerArn=arn)
    engine = Engine(arn)
    done = invoke(FakeContext(stack.parent, lambda stack: engine, aws=aws), destroy, "aws", "showdown", "--yes")
    assert done.exit_code == 0 and engine.destroyed, done.output
