"""Conversion of the resources in a stack's state to a Terraform configuration with the same graph, in JSON syntax.

Resources of AWS become those of Terraform's provider, from which Pulumi's are generated, with the same names and
arguments. No provider is at hand for other resources. They become `terraform_data` with the same inputs, which is in
the graph but does nothing.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from components.core.resource_names import LOAD_BALANCER_TYPE, SECURITY_GROUP_TYPE, logical_name

Resource = dict[str, Any]
# Types whose name in Terraform cannot be derived from Pulumi's.
TYPES = {SECURITY_GROUP_TYPE: "aws_security_group", LOAD_BALANCER_TYPE: "aws_lb"}
BLOCKS = {"rules": "rule", "defaultActions": "default_action", "aliases": "alias"}
# Outputs by which other resources refer to a resource. The first is the only one of a certificate's validation.
NAMING = {
    "certificateArn": "certificate_arn",
    "arn": "arn",
    "id": "id",
    "zoneId": "zone_id",
    "fqdn": "fqdn",
    "dnsName": "dns_name",
}
OPTIONS = {"resourceRecordName": "resource_record_name", "resourceRecordValue": "resource_record_value"}
NOT_GIVEN = {"region", "tagsAll"}  # set by Pulumi's provider only
MAPS = {"tags"}  # the user chooses their keys
SHORTEST_NAME = 6  # shorter values occur inside of others


def configuration(resources: Sequence[Resource]) -> dict[str, Any]:
    """Return the `resource` part of a configuration with the resources of a state (`pulumi stack export`).

    Values from another resource become references. Pulumi's dependencies become `depends_on`.
    """
    custom = [entry for entry in resources if entry.get("custom") and not entry["type"].startswith("pulumi:")]
    by_urn = {entry["urn"]: entry for entry in custom}
    converted: dict[str, dict[str, Any]] = {}
    for entry in custom:
        kind, name = address(entry)
        needed = [by_urn[urn] for urn in sorted({*entry.get("dependencies", ())} & {*by_urn})]
        inputs = _with_references(_plain(entry["inputs"]), [pair for other in needed for pair in _references(other)])
        body = {"input": json.dumps(inputs)} if kind == "terraform_data" else _arguments(inputs)
        if needed:
            body["depends_on"] = [".".join(address(other)) for other in needed]
        converted.setdefault(kind, {})[name] = body
    return converted


def address(entry: Resource) -> tuple[str, str]:
    """Return the type and the name that a resource has in the configuration."""
    name = re.sub(r"\W", "_", logical_name(entry["urn"]))
    package, _, rest = entry["type"].partition(":")
    if package != "aws":
        # Resources of Kubernetes can have the same name as those of AWS.
        return "terraform_data", f"{name}_{rest.rpartition(':')[2]}"
    module, _, kind = rest.partition("/")
    return TYPES.get(entry["type"]) or f"aws_{module}_{_snake(kind.partition(':')[0])}", name


def _references(entry: Resource) -> list[tuple[str, str]]:
    """Return pairs: a value that other resources can take from a resource, and the reference to the value."""
    kind, name = address(entry)
    if kind == "terraform_data":
        return []
    outputs = entry.get("outputs", {}) | {"id": entry["id"]}
    pairs = [(outputs.get(key), f"${{{kind}.{name}.{attribute}}}") for key, attribute in NAMING.items()]
    servers = enumerate(outputs.get("nameServers", ()))
    pairs += [(server, f"${{{kind}.{name}.name_servers[{number}]}}") for number, server in servers]
    for number, option in enumerate(outputs.get("domainValidationOptions", ())):
        options = f"tolist({kind}.{name}.domain_validation_options)[{number}]"
        for key, attribute in OPTIONS.items():  # with and without the final dot
            pairs += [(form, f"${{{options}.{attribute}}}") for form in (option[key], option[key].rstrip("."))]
    return [(value, reference) for value, reference in pairs if value and len(value) >= SHORTEST_NAME]


def _with_references(value: Any, references: list[tuple[str, str]]) -> Any:
    """Return inputs in which references replace the values of other resources."""
    if isinstance(value, dict):
        return {key: _with_references(entry, references) for key, entry in value.items()}
    if isinstance(value, list):
        return [_with_references(entry, references) for entry in value]
    if not isinstance(value, str):
        return value
    # The longest value comes first, because it may contain shorter ones. One pass replaces all values: references are
    # not searched.
    by_value = dict(reversed(references))
    names = sorted(by_value, key=len, reverse=True)
    literal = value.replace("${", "$${")
    return re.sub("|".join(map(re.escape, names)), lambda hit: by_value[hit[0]], literal) if names else literal


def _plain(value: Any) -> Any:
    """Return inputs without Pulumi's own keys, and with secrets unwrapped."""
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if "plaintext" in value:
        return json.loads(value["plaintext"])
    return {key: _plain(entry) for key, entry in value.items() if not key.startswith("__")}


def _arguments(value: Any, *, top: bool = True) -> Any:
    """Return inputs under Terraform's names."""
    if isinstance(value, list):
        return [_arguments(entry, top=False) for entry in value]
    if not isinstance(value, dict):
        return value
    return {
        BLOCKS.get(key) or _snake(key): entry if key in MAPS else _arguments(entry, top=False)
        for key, entry in value.items()
        if not (top and key in NOT_GIVEN)
    }


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda hit: f"_{hit[1].lower()}", name)
