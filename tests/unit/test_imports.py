"""What is imported: most of the time that a command, a plugin or the program takes to start."""

import subprocess
import sys

import pytest

PROGRAM = """
from tests.unit.given import settings
from tests.unit.program import declared
made = {entry.typ for entry in declared(settings())}
assert "aws:ec2/securityGroup:SecurityGroup" in made, made
"""
COMMAND = """
import importlib
from scripts.cli import VERBS
for module in VERBS.values():
    importlib.import_module(module)
"""


@pytest.mark.parametrize(
    ("script", "absent"),
    [
        # It alone takes as long as the rest of the program; the module itself is there always, and not loaded.
        pytest.param(PROGRAM, "pulumi_aws.ec2.outputs", id="the program, for one resource"),
        pytest.param(COMMAND, "pulumi", id="the command, which declares nothing"),
    ],
)
def test_what_is_large_and_hardly_needed_is_not_imported(script: str, absent: str) -> None:
    given = f"import sys\n{script}\nassert {absent!r} not in sys.modules"
    subprocess.run([sys.executable, "-c", given], check=True, timeout=120)
