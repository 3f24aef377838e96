"""The package that `pip install --editable .` builds from a checkout."""

import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.shell import ROOT

METADATA = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_entry_point_exists() -> None:
    module, _, function = METADATA["project"]["scripts"]["opstrace"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_the_changelog_has_a_section_of_the_version() -> None:
    releases = re.findall(
        r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert releases[0] == METADATA["project"]["version"]


def test_each_file_of_dependencies_exists() -> None:
    dynamic = METADATA["tool"]["setuptools"]["dynamic"]
    files = {
        file
        for entry in [dynamic["dependencies"], *dynamic["optional-dependencies"].values()]
        for file in entry["file"]
    }
    assert files == {"requirements.txt", "localcloud/requirements.txt", "tests/requirements.txt"}
    assert [file for file in files if not (ROOT / file).is_file()] == []


@pytest.mark.nightly
def test_an_editable_install_gives_the_command(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-I", "-m", "venv", str(tmp_path)], check=True)
    subprocess.run([tmp_path / "bin/pip", "install", "--quiet", "--editable", str(ROOT)], check=True)
    completed = subprocess.run(
        [tmp_path / "bin/opstrace", "--help"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "ta-create-token" in completed.stdout
    refused = subprocess.run(
        [tmp_path / "bin/opstrace", "local", "status"], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert "pip install --editable '.[local]'" in refused.stderr
