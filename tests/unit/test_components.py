"""Every component has the one shape: read off our own source."""

import ast
from pathlib import Path

COMPONENTS = Path(__file__).parent.parent.parent / "components"
FORBIDDEN = {"boto3", "requests", "subprocess", "socket", "urllib", "localcloud", "scripts"}


def _classes() -> list[tuple[Path, ast.ClassDef]]:
    found = []
    for path in COMPONENTS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and any("ComponentResource" in ast.unparse(base) for base in node.bases):
                found.append((path, node))
    return found


def test_components_are_found() -> None:
    assert {node.name for _, node in _classes()} >= {"Instance", "Tenant", "Gateway", "Entrance", "TrustStore"}


def test_every_component_has_the_one_shape() -> None:
    for path, node in _classes():
        init = next(part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__")
        assert [argument.arg for argument in init.args.args] == ["self", "name", "args", "opts"], node.name
        assert f"'opstrace:{path.stem}:{node.name}'" in ast.unparse(init.body[0]), node.name
        assert ast.unparse(init.body[-1]).startswith("self.register_outputs({"), node.name


def test_components_do_no_input_or_output() -> None:
    for path in COMPONENTS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & FORBIDDEN, (path.name, names)


def test_the_program_is_a_parts_list() -> None:
    assert len((COMPONENTS.parent / "__main__.py").read_text().splitlines()) < 40
