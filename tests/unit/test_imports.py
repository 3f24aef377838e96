"""Imports, which are most of the start-up time of a command, a plugin or the program."""

import subprocess
import sys

import pytest

PROGRAM = """
from tests.support.factories import settings
from tests.support.pulumi_mocks import declared
made = {entry.typ for entry in declared(settings())}
assert "aws:ec2/securityGroup:SecurityGroup" in made, made
"""
COMMAND = """
import importlib
from scripts.cli.main import COMMANDS
for module in COMMANDS.values():
    importlib.import_module(module)
"""
PAGE = "import scripts.cli.main, scripts.cli.ui"


@pytest.mark.parametrize(
    ("script", "absent"),
    [
        # Loading it takes as long as the rest of the program; `pulumi_aws.ec2` itself is a lazy module.
        pytest.param(PROGRAM, "pulumi_aws.ec2.outputs", id="the program, for one resource"),
        pytest.param(PROGRAM, "pulumi_kubernetes.core.v1", id="the program, for the objects of Kubernetes"),
        pytest.param(PROGRAM, "pulumi_aws.s3.outputs", id="the program, for four types of resources"),
        pytest.param(PROGRAM, "pulumi_aws.autoscaling.outputs", id="the program, for attachments"),
        pytest.param(COMMAND, "pulumi", id="the command, which declares nothing"),
        # The page asks AWS, the cluster and DNS after it listens.
        pytest.param(PAGE, "boto3", id="the page, for AWS"),
        pytest.param(PAGE, "kubernetes", id="the page, for the cluster"),
        pytest.param(PAGE, "dns.resolver", id="the page, for checks"),
    ],
)
def test_large_modules_that_are_rarely_needed_are_not_imported(script: str, absent: str) -> None:
    code = f"import sys\n{script}\nassert {absent!r} not in sys.modules"
    subprocess.run([sys.executable, "-P", "-c", code], check=True, timeout=120)
