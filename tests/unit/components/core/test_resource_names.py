"""Names of resources, tags and labels: their grammar, and that one module alone contains each."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core import resource_names, tags
from components.core.names import BUCKET_KINDS
from components.core.resource_names import (
    BUCKET_TYPE,
    COMPONENT_PREFIX,
    TENANT_TYPE,
    bucket_kind,
    bucket_name,
    build_urn,
    child_type,
    config_map_name,
    logical_name,
    program_of,
    qualified_type,
    stateful_set_name,
    tenant_name,
    tenant_of,
    tenant_of_bucket,
    type_token,
)

ROOT = Path(__file__).parents[4]
DECLARATIONS = ROOT / "tests/unit/components/declarations.json"
TENANTS = st.from_regex(r"[a-z0-9]{1,30}", fullmatch=True)
# A type token, the beginning of an URN, a tag's key, or a label's. `opstrace:tenant` is the name of a setting too.
LITERAL = re.compile(
    r"(aws|kubernetes|random|pulumi|opstrace):[\w.]+(/\w+)?:\w+"
    r"|urn:pulumi:.*"
    r"|opstrace:(instance|kind|owner|retention-days|purging|adopting)"
    r"|app\.kubernetes\.io/[\w-]+"
    r"|opstrace/(tenant|owner|config)"
)
MODULES = {"components/core/resource_names.py", "components/core/tags.py"}


def constants(*modules: object) -> list[str]:
    return [part for module in modules for name, part in vars(module).items() if name.isupper() and name[0] != "_"]


@given(TENANTS)
def test_a_tenant_is_read_from_its_names(tenant: str) -> None:
    assert tenant_of(tenant_name(tenant)) == tenant
    for kind in BUCKET_KINDS:
        name = bucket_name(tenant_name(tenant), kind)
        assert bucket_kind(name) == kind and tenant_of_bucket(name) == tenant
    for program in ("cortex", "loki", "alertmanager"):
        component = f"{tenant_name(tenant)}-{program}"
        for name in (config_map_name(component), stateful_set_name(component)):
            assert program_of(name) == (tenant_name(tenant), program)


@pytest.mark.parametrize(
    "name", ["system-logs-bucket", "tenant-a-bucket", "tenant-a-logs-access", "tenant-a.b-logs-bucket"]
)
def test_what_is_no_bucket_of_a_user_tenant_names_none(name: str) -> None:
    assert tenant_of_bucket(name) is None


@given(TENANTS)
def test_an_urn_is_read_as_it_is_built(tenant: str) -> None:
    urn = build_urn("showdown.team", child_type(TENANT_TYPE, BUCKET_TYPE), tenant)
    assert urn == f"urn:pulumi:showdown.team::opstrace::opstrace:tenant:Tenant$aws:s3/bucket:Bucket::{tenant}"
    assert qualified_type(urn) == f"{TENANT_TYPE}${BUCKET_TYPE}"
    assert (type_token(urn), logical_name(urn)) == (BUCKET_TYPE, tenant)


def test_every_type_that_the_program_declares_is_named() -> None:
    declared = json.loads(DECLARATIONS.read_text())
    used = {type_token(urn) for part in ("instance", "tenant") for urn in declared[part]}
    providers = {resource_names.provider_type(package) for package in ("aws", "kubernetes", "random")}
    assert used - providers <= {*constants(resource_names)}
    assert len(used) > 20 and any(token.startswith(COMPONENT_PREFIX) for token in used)


def test_no_two_names_have_one_value() -> None:
    for module in (resource_names, tags):
        values = constants(module)
        assert len(values) == len({*values}) > 5


def literals(path: Path) -> Iterator[str]:
    """Return the texts of a module except its docstrings."""
    tree = ast.parse(path.read_text())
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in statements:
            yield node.value


@pytest.mark.parametrize("top", ["components", "scripts", "localcloud", "supplychain", "bench", "tests/support"])
def test_names_stand_in_one_module_alone(top: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {text}"
        for path in sorted((ROOT / top).rglob("*.py"))
        if str(path.relative_to(ROOT)) not in MODULES
        for text in literals(path)
        if LITERAL.match(text)
    ]
    assert wrong == []


def test_literals_of_names_are_found() -> None:
    for module in MODULES:
        assert len([text for text in literals(ROOT / module) if LITERAL.match(text)]) > 5
