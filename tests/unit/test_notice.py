"""NOTICE: what runs and what is imported, each under its licence."""

import re
from importlib.metadata import metadata

import pytest
from click.testing import CliRunner

from components.core.images import IMAGES
from localcloud.toolchain import catalog
from localcloud.toolchain.store import Tool
from scripts.cli.create import create
from supplychain import vendored
from tests.support.shell import ROOT

NOTICE = (ROOT / "NOTICE").read_text()
# Where a package's metadata has other words.
SPDX = {"MIT style": "MIT", "Apache Software License": "Apache-2.0", "BSD License": "BSD-3-Clause"}
COPYLEFT = re.compile(r"GPL|MPL|EPL|CDDL|EUPL|OSL")


def rows(title: str) -> dict[str, list[str]]:
    """Return the lines of a table in NOTICE: a work's name in lower case to its other columns."""
    (section,) = re.findall(rf"^== [^\n]*{title}[^\n]* ==\n(.*?)(?=^== |\Z)", NOTICE, re.MULTILINE | re.DOTALL)
    columns = [re.split(r" {2,}", line) for line in section.splitlines() if re.search(r"\S {2,}\S", line)]
    return {name.lower(): others for name, *others in columns}


def packages(file: str) -> list[str]:
    return re.findall(r"^([A-Za-z0-9][\w.-]*)", (ROOT / file).read_text(), re.MULTILINE)


def licence_of(package: str) -> str:
    about = metadata(package)
    classifiers = [entry.split(" :: ")[-1] for entry in about.get_all("Classifier") or [] if "License ::" in entry]
    named = about["License-Expression"] or about["License"] or classifiers[-1]
    return SPDX.get(named, named)


@pytest.mark.parametrize("image", IMAGES)
def test_each_pinned_server_is_listed_with_its_version_and_licence(image: str) -> None:
    name, version = re.findall(r"/([a-z0-9-]+):v?([0-9.]+)$", image)[0]
    found, licence, source = rows("Servers")[name]
    assert found == version and source.startswith("https://")
    assert licence == ("AGPL-3.0-only" if name == "loki" else "Apache-2.0")


@pytest.mark.parametrize(
    "tool", [tool for tool in vars(catalog).values() if isinstance(tool, Tool)], ids=lambda t: t.name
)
def test_each_tool_is_listed_with_its_version_and_licence(tool: Tool) -> None:
    listed = rows("Servers") | rows("Programs on") | rows("Programs of the embedded") | rows("Programs of the tests")
    assert listed[tool.name][0] == tool.version and len(listed[tool.name]) == 3


@pytest.mark.parametrize(
    ("title", "file"),
    [
        ("that the program and", "requirements.txt"),
        ("packages of the embedded", "localcloud/requirements.txt"),
        ("packages of the tests", "tests/requirements.txt"),
    ],
)
def test_each_direct_dependency_is_listed_with_the_licence_of_its_metadata(title: str, file: str) -> None:
    wanted = {package.lower(): [licence_of(package)] for package in packages(file)}
    assert wanted and rows(title) == wanted


def test_each_vendored_package_is_listed_with_its_version_and_licence() -> None:
    listed = {name: others[:2] for name, others in rows("Front-end files").items()}
    assert listed == {package.name: [package.version, package.licence] for package in vendored.PAGE.packages()}


def test_what_checks_the_page_in_tests_is_listed_with_its_version_and_licence() -> None:
    listed = {name: others[:2] for name, others in rows("Scripts").items()}
    assert listed == {package.name: [package.version, package.licence] for package in vendored.TESTS.packages()}


@pytest.mark.parametrize("package", packages("requirements.txt") + packages("localcloud/requirements.txt"))
def test_what_is_imported_at_run_time_needs_no_copyleft_licence(package: str) -> None:
    assert any(not COPYLEFT.search(choice) for choice in licence_of(package).split(" OR "))


def test_nothing_of_loki_is_imported() -> None:
    sources = [path for path in (ROOT / "localcloud" / "go").rglob("*.go") if "grafana/loki" in path.read_text()]
    assert sources == []


def test_the_help_of_create_names_the_licence() -> None:
    assert "AGPL-3.0" in CliRunner().invoke(create, ["--help"]).stdout
