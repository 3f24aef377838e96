"""Imports point one way: each package imports from lower layers only."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
# From top to bottom. Packages of one layer do not import each other.
LAYERS = {
    "components": [["instance"], ["tenant"], ["config"], ["collectors", "gateway"], ["shared"], ["core"]],
    "scripts": [
        ["cli"],
        ["web"],
        ["dashboards", "instances", "integrations", "trust"],
        ["tenants"],
        ["updates"],
        ["context"],
        ["checks", "engine", "tokens"],
        ["clients"],
        ["stackfile", "ui"],
    ],
    "tests": [["e2e", "integration", "security", "unit"], ["support"]],
}
# The packages that a top-level package may import besides itself and libraries.
MAY_IMPORT = {
    "components": set[str](),
    "localcloud": {"components"},
    "scripts": {"components", "localcloud"},
    "supplychain": {"components", "localcloud", "scripts"},
    "reference": {"components", "scripts"},
    "bench": {"components", "localcloud", "scripts", "tests"},
    "tests": {"bench", "components", "localcloud", "reference", "scripts", "supplychain"},
}
# Modules of scripts/cli that other modules of scripts/cli may import: no command imports another command.
NO_COMMANDS = {
    "scripts.cli.output.failures",
    "scripts.cli.output.findings",
    "scripts.cli.output.newest_data",
    "scripts.cli.options",
    "scripts.cli.tokens.options",
}
GROUPS = {"scripts/cli/main.py", "scripts/cli/tenants/group.py", "scripts/cli/integrations/group.py"}
# A type error or a rule of ruff that is ignored, with nothing but white space after the codes.
IGNORED = r"# (type: ignore(\[[\w, -]+\])?|noqa(: [A-Z]+[0-9]+(, [A-Z]+[0-9]+)*)?)\s*$"
MOST_MODULES = 12  # in a folder of the product
MOST_LINES_OF_A_MODULE = 350
MOST_LINES_OF_A_FUNCTION = 60


def imports(file: Path) -> list[str]:
    """Return the modules of this project that `file` imports, also inside of functions."""
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{file}: a relative import"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return [name for name in names if name.split(".")[0] in MAY_IMPORT]


def files(top: str) -> list[Path]:
    """Return the modules of a top-level package."""
    modules = sorted((ROOT / top).rglob("*.py"))
    assert modules
    return modules


def test_the_imports_of_a_module_are_found() -> None:
    names = imports(ROOT / "components" / "gateway" / "filter_chain.py")
    assert "components.gateway.lua_filters" in names and "components.core.names.APIS" in names


@pytest.mark.parametrize("top", MAY_IMPORT)
def test_top_level_packages_import_downwards(top: str) -> None:
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in files(top)
        for name in imports(file)
        if name.split(".")[0] not in {top, *MAY_IMPORT[top]}
    ]
    assert wrong == []


@pytest.mark.parametrize("top", LAYERS)
def test_packages_import_from_lower_layers_only(top: str) -> None:
    rank = {package: number for number, layer in enumerate(LAYERS[top]) for package in layer}
    wrong = []
    for file in files(top):
        own = file.relative_to(ROOT / top).parts[0]
        if own not in rank:  # the package's own modules, such as __main__.py
            assert own in ("__init__.py", "__main__.py", "conftest.py"), f"{file}: of no layer"
            continue
        for name in imports(file):
            parts = name.split(".")
            if parts[0] == top and parts[1] != own and rank.get(parts[1], len(rank)) <= rank[own]:
                wrong.append(f"{file.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_tests_import_no_private_names() -> None:
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in [*files("tests"), *files("bench")]
        for name in imports(file)
        if any(part.startswith("_") and not part.startswith("__") for part in name.split("."))
    ]
    assert wrong == []


def test_no_command_imports_another_command() -> None:
    commands = [file for file in files("scripts/cli") if str(file.relative_to(ROOT)) not in GROUPS]
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in commands
        for name in imports(file)
        if name.startswith("scripts.cli.") and name.rpartition(".")[0] not in NO_COMMANDS
    ]
    assert wrong == []


@pytest.mark.parametrize("top", ["components", "localcloud", "scripts"])
def test_no_folder_has_more_modules_than_you_can_survey(top: str) -> None:
    modules: dict[Path, int] = {}
    for file in files(top):
        if file.name != "__init__.py":
            modules[file.parent] = modules.get(file.parent, 0) + 1
    assert {str(folder.relative_to(ROOT)): count for folder, count in modules.items() if count > MOST_MODULES} == {}


@pytest.mark.parametrize("top", ["components", "localcloud", "scripts"])
def test_no_module_is_too_long(top: str) -> None:
    lengths = {str(file.relative_to(ROOT)): len(file.read_text().splitlines()) for file in files(top)}
    assert {file: length for file, length in lengths.items() if length > MOST_LINES_OF_A_MODULE} == {}


@pytest.mark.parametrize("top", ["components", "localcloud", "scripts"])
def test_no_function_is_too_long(top: str) -> None:
    lengths = {
        f"{file.relative_to(ROOT)}: {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for file in files(top)
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert lengths
    assert {name: length for name, length in lengths.items() if length > MOST_LINES_OF_A_FUNCTION} == {}


@pytest.mark.parametrize("top", ["components", "scripts"])
def test_packages_run_no_code_when_they_are_imported(top: str) -> None:
    for file in files(top):
        if file.name == "__init__.py":
            body = ast.parse(file.read_text()).body
            assert all(isinstance(node, ast.Expr) for node in body), f"{file}: more than a docstring"


@pytest.mark.parametrize("top", MAY_IMPORT)
def test_a_rule_is_ignored_with_its_reason_beside_it(top: str) -> None:
    wrong = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in files(top)
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if re.search(IGNORED, line)
    ]
    assert wrong == []
