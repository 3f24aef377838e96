"""The source of every component has one shape."""

import ast
from pathlib import Path

from components.core import resource_names

COMPONENTS = Path(__file__).parent.parent.parent.parent / "components"
# Type tokens are parts of URNs: another token would replace every resource below it. They do not follow module names.
TOKENS = {
    "Alertmanager": ("ALERTMANAGER_TYPE", "opstrace:alertmanager:Alertmanager"),
    "Collectors": ("COLLECTORS_TYPE", "opstrace:collectors:Collectors"),
    "Cortex": ("CORTEX_TYPE", "opstrace:cortex:Cortex"),
    "Entrance": ("ENTRANCE_TYPE", "opstrace:entrance:Entrance"),
    "Gateway": ("GATEWAY_TYPE", "opstrace:gateway:Gateway"),
    "Instance": ("INSTANCE_TYPE", "opstrace:instance:Instance"),
    "Loki": ("LOKI_TYPE", "opstrace:loki:Loki"),
    "Tenant": ("TENANT_TYPE", "opstrace:tenant:Tenant"),
    "TrustStore": ("TRUST_STORE_TYPE", "opstrace:trust_store:TrustStore"),
}
FORBIDDEN = {"boto3", "requests", "subprocess", "socket", "urllib", "localcloud", "scripts"}


def _classes() -> list[tuple[Path, ast.ClassDef]]:
    classes = []
    for path in COMPONENTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and any("ComponentResource" in ast.unparse(base) for base in node.bases):
                classes.append((path, node))
    return classes


def test_components_are_found() -> None:
    assert sorted(node.name for _, node in _classes()) == sorted(TOKENS)


def test_every_component_has_the_one_shape() -> None:
    for _, node in _classes():
        init = next(part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__")
        assert [argument.arg for argument in init.args.args] == ["self", "name", "args", "opts"], node.name
        constant, token = TOKENS[node.name]
        assert f"super().__init__({constant}, name, None, " in ast.unparse(init.body[0]), node.name
        assert getattr(resource_names, constant) == token, node.name
        assert ast.unparse(init.body[-1]).startswith("self.register_outputs({"), node.name


def test_argument_classes_take_keyword_arguments_only() -> None:
    decorators = {
        node.name: [ast.unparse(part) for part in node.decorator_list]
        for path in COMPONENTS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and node.name.endswith("Args")
    }
    assert len(decorators) >= len(TOKENS)
    assert {name for name, lines in decorators.items() if lines != ["dataclass(frozen=True, kw_only=True)"]} == set()


def test_components_do_no_input_or_output() -> None:
    for path in COMPONENTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & FORBIDDEN, (path.name, names)


def test_the_program_is_a_parts_list() -> None:
    assert len((COMPONENTS.parent / "__main__.py").read_text().splitlines()) < 40
