"""What the program declares in AWS, by the upstream provider: Terraform creates it, and finds no difference afterwards.

It also finds none between the declaration and what the stand-in plugin created.

Pulumi's official plugin is generated from that provider, so a default or a form that AWS returns otherwise would be a
difference in each of a user's previews. The test needs `terraform` and its provider; it is skipped where they are missing.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import terraform_project
from components.core.resource_names import ENCRYPTION_TYPE, type_token
from localcloud.settings import DOMAIN
from scripts.engine.pulumi import COLLECTOR
from tests.support.bare_cloud import BareCloud
from tests.support.project import make_project
from tests.support.shell import ROOT
from tests.support.stack import INSTANCE, Stack

OTHER = "other"  # the name of Terraform's instance in the same account
PARALLEL = "-parallelism=100"  # the provider waits a minute for most resources
# Settings of the provider alone, which AWS does not store.
NOT_IN_AWS = {"allow_overwrite", "force_destroy"}
TENANT = {
    "name": "team",
    "alertmanager": {"enabled": True},
    "retention": {"metrics": "90d", "logs": "1y"},
    "onDelete": "purge",
    "owner": "a-team",
    "tags": {"cost": "1"},
}


class Terraform:
    """Terraform in a folder of its own, against a cloud."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.environment = folder, dict(os.environ)

    def run(self, verb: str, *options: str) -> None:
        """Run a command; fail with its output where it fails."""
        command = terraform_project.command(verb, *options)
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert not done.returncode, f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    found = Terraform(tmp_path_factory.mktemp("terraform"))
    if reason := terraform_project.missing(found.folder, found.environment):
        pytest.skip(reason)
    return found


@pytest.fixture(scope="module")
def stack(terraform: Terraform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack on a cloud of its own: what Terraform creates would be an orphan for other tests."""
    cloud = BareCloud(tmp_path_factory.mktemp("bare"))
    try:
        cloud.start()
        yield Stack(cloud, make_project(tmp_path_factory.mktemp("project")))
    finally:
        cloud.stop()


def of_aws(resources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry for entry in resources if entry["type"].startswith("aws:")]


@pytest.fixture(scope="module")
def resources(stack: Stack) -> list[dict[str, Any]]:
    """The state of an instance with a tenant, which has everything that the program declares in AWS."""
    parent = stack.cloud.aws("route53").create_hosted_zone(Name=DOMAIN, CallerReference="parent")["HostedZone"]["Id"]
    settings = stack.settings("create")
    settings["aws"]["parentZoneId"] = parent.rpartition("/")[2]
    key = stack.cloud.aws("kms").create_key()["KeyMetadata"]["Arn"]
    settings["aws"]["kmsKeys"] = {"buckets": key, "secrets": key}
    settings["cluster"]["enforcesNetworkPolicies"] = True
    settings["dataApi"]["allowedCidrs"] = ["198.51.100.0/24", "203.0.113.0/24"]
    settings |= {"tenants": [TENANT], "tags": {"stage": "test"}}
    stack.write_settings(settings)
    stack.engine().ensure_stack()
    stack.run(*stack.command("create"))
    return stack.resources()


@pytest.fixture(scope="module")
def applying(terraform: Terraform, stack: Stack, resources: list[dict[str, Any]]) -> Iterator[subprocess.Popen[bytes]]:
    """Terraform while it creates the same instance under another name; it mostly waits."""
    cloud = {name: value for name, value in stack.cloud.environment.items() if name not in COLLECTOR}
    terraform.environment = cloud | terraform_project.SETTINGS
    terraform_project.write(terraform.folder, resources, {INSTANCE: OTHER})
    command = terraform_project.command("apply", PARALLEL, "-auto-approve")
    with (terraform.folder / "apply.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=terraform.folder, env=terraform.environment, stdout=log, stderr=log)
    yield process
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def adopting(
    terraform: Terraform,
    applying: subprocess.Popen[bytes],
    resources: list[dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Terraform:
    """Terraform with the resources that Pulumi made, as imports."""
    other = Terraform(tmp_path_factory.mktemp("imports"))
    assert terraform_project.missing(other.folder, os.environ) is None
    other.environment = terraform.environment
    terraform_project.write(other.folder, resources, existing=True)
    return other


def changes(terraform: Terraform) -> dict[str, dict[str, Any]]:
    """Return what Terraform would change of the imported resources: address, and names with the wanted values."""
    terraform.run("plan", PARALLEL, "-out", "plan")
    shown = ["terraform", "show", "-json", "plan"]
    done = subprocess.run(shown, cwd=terraform.folder, env=terraform.environment, capture_output=True, check=True)
    found = {}
    for entry in json.loads(done.stdout)["resource_changes"]:
        before, after = entry["change"]["before"], entry["change"]["after"]
        if before is None:  # not imported
            assert entry["type"] in terraform_project.NO_IMPORT, entry["address"]
            continue
        found[entry["address"]] = {
            name: (before.get(name), (after or {}).get(name))
            for name in {*before, *(after or {})} - NOT_IN_AWS
            if before.get(name) != (after or {}).get(name)
        }
    assert found
    return {place: names for place, names in found.items() if names}


def test_the_instance_has_every_type_that_the_program_declares(resources: list[dict[str, Any]]) -> None:
    recorded = json.loads((ROOT / "tests/unit/components/declarations.json").read_text())
    declared = {type_token(urn) for part in ("instance", "tenant") for urn in recorded[part]} | {ENCRYPTION_TYPE}
    assert {entry["type"] for entry in of_aws(resources)} == {name for name in declared if name.startswith("aws:")}


def test_what_the_stand_in_made_has_no_difference_to_the_declaration(adopting: Terraform) -> None:
    assert changes(adopting) == {}


def test_a_difference_is_found(adopting: Terraform, stack: Stack) -> None:
    balancers = stack.cloud.aws("elbv2")
    (arn,) = [
        entry["LoadBalancerArn"]
        for entry in balancers.describe_load_balancers()["LoadBalancers"]
        if INSTANCE in entry["LoadBalancerName"]
    ]
    attribute = {"Key": "load_balancing.cross_zone.enabled", "Value": "false"}
    balancers.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[attribute])
    found = {"enable_cross_zone_load_balancing": (False, True)}
    assert changes(adopting) == {"aws_lb.instance_entrance_load_balancer": found}


def test_terraform_creates_everything_and_a_second_plan_is_empty(
    terraform: Terraform, applying: subprocess.Popen[bytes], resources: list[dict[str, Any]]
) -> None:
    assert applying.wait() == 0, (terraform.folder / "apply.log").read_text()
    state = json.loads((terraform.folder / "terraform.tfstate").read_text())["resources"]
    created = [entry for entry in state if entry["type"].startswith("aws_")]
    assert len(created) == len(of_aws(resources))
    terraform.run("plan", PARALLEL, "-detailed-exitcode")
