"""Every text of the configuration must match its form in full: a final newline is refused."""

import ast
import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from components.config.backend_limits import LogsLimits, MetricsLimits
from components.config.base import endpoint_host, range_problem
from components.config.load import from_settings, tenant_stack
from components.config.schema import json_schema
from components.core import names, scopes
from components.core.errors import ConfigError
from components.core.images import PROGRAMS, tag_of
from components.core.public_keys import canonical_pem, key_id
from components.core.units import hours
from scripts.tokens.parse import looks_like_token
from scripts.ui import durations
from tests.support.factories import KEY, kms_key
from tests.support.shell import ROOT

ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
END = "2099-01-01T00:00:00Z"
RATES = {"requestsPerSecond": 9, "bytesPerSecond": "20Mi", "byteBurst": "40Mi"}
POD = {"cpu": "500m", "memory": "1Gi", "memoryLimit": "2Gi", "volume": "10Gi"}
NAMED_BY_THE_USER = (
    *("publicKeys", "revokedTokens", "endpoints", "labels", "tags"),
    *("registries", "nodeSelector", "serviceAccountAnnotations"),
)
# PEM texts may end with a newline: their key id identifies them.
FREE = {("dataApi", "publicKeys", key_id(KEY), "pem"), ("aws", "caBundle")}


def _limits(model: type[MetricsLimits] | type[LogsLimits]) -> dict[str, str]:
    """Return a valid value for each limit that takes a text."""
    annotations = {name: str(field.annotation) + str(field.metadata) for name, field in model.model_fields.items()}
    forms = {"KB": "64KB", "a-z": "other_{}"}
    return {
        name: next((value for part, value in forms.items() if part in text), "90s").format(name)
        for name, text in annotations.items()
        if "pattern" in text
    }


TENANT: dict[str, Any] = {
    "retention": {"metrics": "30d", "logs": "7d"},
    "limits": {"metrics": _limits(MetricsLimits), "logs": _limits(LogsLimits)},
    "size": {"replicas": 3, "metrics": POD, "logs": POD},
    "alertmanager": {"enabled": True, "privateReceivers": ["10.1.0.0/16"]},
    "rulePollInterval": "30s",
    "onDelete": "purge",
    "owner": "team-a",
    "labels": {"example.com/team": "a"},
    "tags": {"cost": "1"},
}
FULL: dict[str, Any] = {
    "domain": "example.com",
    "name": "showdown",
    "tenants": [{"name": "default"} | TENANT, {"name": "other", "size": "large"}],
    "tenantDefaults": TENANT,
    "systemTenant": TENANT,
    "dataApi": {
        "allowedCidrs": ["203.0.113.0/24"],
        "publicKeys": {
            key_id(KEY): {
                "pem": canonical_pem(KEY),
                "tenants": ["default"],
                "scopes": ["metrics:read"],
                "notAfter": END,
            }
        },
        "revokedTokens": {ID: END},
        "rates": RATES,
        "tenants": {"default": {"rates": RATES, "allowedCidrs": ["203.0.113.0/25"]}},
    },
    "cluster": {
        "context": "arn:aws:eks:us-west-2:111122223333:cluster/observability",
        "name": "observability",
        "storageClass": "gp3",
        "oidcProviderArn": "arn:aws:iam::123456789012:oidc-provider/issuer",
        "oidcIssuer": "https://oidc.example.com/id/A",
        "nodeSecurityGroupId": "sg-1",
        "enforcesNetworkPolicies": True,
        "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["sts.us-west-2.amazonaws.com"]}],
    },
    "loadBalancer": {
        "vpcId": "vpc-1",
        "subnetIds": ["subnet-1"],
        "targets": "nodes",
        "nodeGroups": ["workers"],
        "autoscalingGroups": ["nodes"],
    },
    "aws": {
        "region": "us-west-2",
        "parentZoneId": "Z0123456789",
        "endpoints": {"s3": "https://192.0.2.1:8443"},
        "caBundle": canonical_pem(KEY),
        "permissionsBoundary": "arn:aws:iam::123456789012:policy/bounds",
        "rolePath": "/observability/",
        "kmsKeys": {"buckets": kms_key(1), "former": [kms_key(2)], "secrets": kms_key(3)},
    },
    "images": {
        "registry": "mirror.example.com:5000/all",
        "registries": {"quay.io": "mirror.example.com/quay"},
        "digests": {name: f"{tag_of(image)}@sha256:{'a' * 64}" for name, image in PROGRAMS.items()},
        "pullSecrets": ["mirror"],
    },
    "pods": {
        "tolerations": [
            {"key": "dedicated", "operator": "Equal", "value": "observability", "effect": "NoSchedule"},
        ],
        "nodeSelector": {"example.com/pool": "observability"},
        "tenantPriorityClass": "middle",
        "gatewayPriorityClass": "high",
        "gateway": {"cpu": "500m", "memory": "512Mi"},
        "serviceAccountAnnotations": {"example.com/owner": "platform"},
    },
    "collectors": {
        "namespaces": {"exclude": ["kube-system"]},
        "extraScrape": [{"job": "database", "targets": ["db.example.com:9187"], "path": "/metrics", "scheme": "https"}],
        "resources": {"cpu": "100m", "memory": "256Mi", "memoryLimit": "1Gi"},
        "queues": {"logs": "1Gi", "metrics": "4Gi"},
        "rules": {"runbooks": "https://docs.example.com/runbooks.html"},
    },
    "tags": {"team": "observability"},
}
ALONE: dict[str, Any] = {"tenantOf": "showdown", "name": "team", "tenant": TENANT}
LARGE = {"size": "large"}
PODS = {"targets": "pods", "targetGroupBinding": "eks.amazonaws.com/v1"}
TO_PODS = {"loadBalancer": {"vpcId": "vpc-1", "subnetIds": ["subnet-1"], **PODS}}
EXAMPLES = (
    *(FULL, FULL | TO_PODS, FULL | {"tenantDefaults": LARGE}, FULL | {"systemTenant": LARGE}),
    *(ALONE, ALONE | {"tenant": LARGE}),
)
Place = tuple[Any, ...]  # of a text: names and numbers


def texts(value: Any, path: Place = ()) -> Iterator[Place]:
    """Yield the path of each text in a value. A path that ends with None leads to the text of a key."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, list):
        for number, entry in enumerate(value):
            yield from texts(entry, (*path, number))
    elif isinstance(value, dict):
        for name, entry in value.items():
            yield (*path, name, None)
            yield from texts(entry, (*path, name))


def at(value: Any, path: Place) -> Any:
    for part in path:
        value = value[part]
    return value


def replaced(value: dict[str, Any], path: Place, text: str) -> dict[str, Any]:
    """Return a copy of `value` with `text` at a path."""
    copied = copy.deepcopy(value)
    if path[-1] is None:
        *above, name = path[:-1]
        owner = at(copied, tuple(above))
        owner[text] = owner.pop(name)
    else:
        at(copied, path[:-1])[path[-1]] = text
    return copied


def text_at(value: Any, path: Place) -> str:
    return str(path[-2] if path[-1] is None else at(value, path))


def is_accepted(config: dict[str, Any]) -> bool:
    try:
        if "tenantOf" in config:
            tenant_stack(config, "showdown.team")
        else:
            from_settings(config, "showdown")
    except ConfigError:
        return False
    return True


CASES = [(stack, path) for stack in EXAMPLES for path in texts(stack) if path not in FREE]


def _of_schema(schema: Any, definitions: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of each setting that may be a text, with `*` for list indexes and names chosen by the user."""
    if "$ref" in schema:
        yield from _of_schema(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions, path)
    for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _of_schema(part, definitions, path)
    if schema.get("type") == "string":
        yield path
    for name, part in schema.get("properties", {}).items():
        yield from _of_schema(part, definitions, (*path, name.removeprefix("opstrace:")))
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield from _of_schema(schema[name], definitions, (*path, "*"))


def test_the_examples_have_a_text_for_each_setting_that_can_be_one() -> None:
    """The test also covers settings that are added to the models later."""
    assert all(map(is_accepted, EXAMPLES))
    schema = json_schema()
    config, definitions = schema["properties"]["config"], schema["$defs"]
    required = {path for form in ("then", "else") for path in _of_schema(config[form], definitions)}
    covered = {_with_stars(path) for one in EXAMPLES for path in texts(one) if path[-1] is not None}
    # The short form of a key is free text like its PEM text.
    assert required - covered == {("dataApi", "publicKeys", "*")}


def _with_stars(path: Place) -> tuple[str, ...]:
    """Return a path with `*` for list indexes and names chosen by the user."""
    parts: list[str] = []
    for part in path:
        chosen = parts[-1:] and parts[-1] in NAMED_BY_THE_USER
        parts.append("*" if chosen or parts == ["dataApi", "tenants"] or isinstance(part, int) else str(part))
    return tuple(parts)


def _named(part: Any) -> str:
    """Return the id of a test case; it is the same in each process, although the key differs."""
    return ".".join(map(str, part)).replace(key_id(KEY), "KEY") if isinstance(part, tuple) else ""


@pytest.mark.parametrize(("stack", "path"), CASES, ids=_named)
def test_no_text_with_a_final_newline_is_accepted(stack: dict[str, Any], path: Place) -> None:
    changed = replaced(stack, path, text_at(stack, path) + "\n")
    assert changed != stack and not is_accepted(changed)


def _patterns(schema: Any) -> set[str]:
    patterns: set[str] = set()
    if isinstance(schema, dict):
        patterns |= {value for name, value in schema.items() if name == "pattern" and isinstance(value, str)}
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        patterns |= _patterns(part)
    return patterns


PATTERNS = sorted(_patterns(json_schema()))


OF_A_PATTERN = st.sampled_from(PATTERNS).flatmap(lambda pattern: st.from_regex(pattern.removesuffix("$") + r"\Z"))


@given(st.sampled_from(CASES), OF_A_PATTERN | st.text(max_size=20), st.booleans())
@example((FULL, ("cluster", "hostAliases", 0, "ip")), "fe80::1%eth0", False)
@example((FULL, ("tenants", 0, "owner")), "a\n", False)
def test_whatever_is_accepted_is_not_with_a_newline_at_its_end(
    case: tuple[dict[str, Any], Place], text: str, longer: bool
) -> None:
    stack, path = case
    text = text_at(stack, path) + text if longer else text
    if is_accepted(replaced(stack, path, text)):
        assert not is_accepted(replaced(stack, path, text + "\n"))


@pytest.mark.parametrize(
    ("check", "good"),
    [
        (scopes.is_token_id, ID),
        (lambda text: names.instance_name_problem(text) is None, "showdown"),
        (lambda text: names.tenant_name_problem(text) is None, "default"),
        (lambda text: range_problem(text) is None, "10.0.0.0/8"),
        (endpoint_host, "https://192.0.2.1"),
        (hours, "30d"),
        (durations.seconds_of, "30d"),
        (looks_like_token, f"{'a' * 40}.{'b' * 40}.{'c' * 40}"),
    ],
)
def test_no_validator_takes_a_final_newline(check: Any, good: str) -> None:
    def takes(text: str) -> bool:
        try:
            return bool(check(text))
        except ValueError:
            return False

    assert takes(good) and not takes(f"{good}\n")


SOURCES = [
    path for folder in ("components", "scripts", "localcloud", "bench") for path in (ROOT / folder).rglob("*.py")
]
ESCAPES_AND_CLASSES = re.compile(r"\\.|\[\^?\]?[^\]]*\]", re.DOTALL)


def _literal(node: ast.AST, constants: dict[str, ast.expr]) -> str:
    """Return the text of a pattern, including inserted constants of any module."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_literal(part, constants) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return _literal(node.value, constants)
    if isinstance(node, ast.BinOp):
        return _literal(node.left, constants) + _literal(node.right, constants)
    if isinstance(node, (ast.Name, ast.Attribute)):
        name = node.id if isinstance(node, ast.Name) else node.attr
        return _literal(constants[name], constants) if name in constants else ""
    return ""


def _constants(trees: list[ast.Module]) -> dict[str, ast.expr]:
    assigned = [node for tree in trees for node in tree.body if isinstance(node, ast.Assign)]
    return {target.id: node.value for node in assigned for target in node.targets if isinstance(target, ast.Name)}


def _texts(tree: ast.Module) -> list[str]:
    return [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def open_ends(sources: dict[str, str]) -> list[str]:
    """Return the places in the sources where a function that lets a newline follow `$` gets a pattern with `$`."""
    trees = {name: ast.parse(text) for name, text in sources.items()}
    constants, places = _constants([*trees.values()]), []
    for name, tree in trees.items():
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            of_re = isinstance(node.func.value, ast.Name) and node.func.value.id == "re"
            lines = "MULTILINE" in ast.dump(node)
            if of_re and node.func.attr in ("match", "search", "compile", "findall", "finditer") and not lines:
                literal = _literal(node.args[0], constants)
                # A pattern that is chosen at run time may be any text of its module.
                patterns = [literal] if literal else [text for text in _texts(tree) if text.endswith("$")]
                bare = [ESCAPES_AND_CLASSES.sub("", pattern) for pattern in patterns]
                places += [f"{name}:{node.lineno}"] if any("$" in text for text in bare) else []
    return places + [name for name, text in sources.items() if "python-re" in text]


def test_no_source_lets_a_newline_follow_the_end_of_a_pattern() -> None:
    assert len(SOURCES) > 100
    assert open_ends({str(path.relative_to(ROOT)): path.read_text() for path in SOURCES}) == []


@pytest.mark.parametrize(
    ("source", "reported"),
    [
        ('re.match("a$", x)', True),
        ('re.search(r"a(?=/|$)", x)', True),
        ('KEY = rf"^{PART}$"\nre.match(KEY, x)', True),
        ('END = re.compile("^a$")', True),
        ('FIXED = ("a$", "b")\nany(re.match(pattern, x) for pattern in FIXED)', True),
        ('FIXED = (r"a\\Z", "b")\nany(re.match(pattern, x) for pattern in FIXED)', False),
        ('ConfigDict(regex_engine="python-re")', True),
        ('re.fullmatch("^a$", x)', False),
        (r're.match(r"a\$[$]", x)', False),
        ('re.findall("^a$", x, re.MULTILINE)', False),
    ],
)
def test_what_lets_a_newline_follow_is_found(source: str, reported: bool) -> None:
    assert bool(open_ends({"a.py": source})) == reported
