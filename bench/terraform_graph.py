"""The resources of a stack's state as Terraform's configuration, in its JSON syntax: the same graph.

Of AWS, the resources of its provider, of which Pulumi's are made and have their names and arguments. Of all else, which
Terraform has no provider at hand for, its own `terraform_data` with what the resource is given: of the graph, without any work.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

Resource = dict[str, Any]
# Where Terraform's names are not Pulumi's in another spelling.
TYPES = {"aws:ec2/securityGroup:SecurityGroup": "aws_security_group", "aws:lb/loadBalancer:LoadBalancer": "aws_lb"}
BLOCKS = {"rules": "rule", "defaultActions": "default_action", "aliases": "alias"}
# Outputs by which a resource is named in those that depend on it. What validates a certificate has no other name than that.
NAMING = {
    "certificateArn": "certificate_arn",
    "arn": "arn",
    "id": "id",
    "zoneId": "zone_id",
    "fqdn": "fqdn",
    "dnsName": "dns_name",
}
OPTIONS = {"resourceRecordName": "resource_record_name", "resourceRecordValue": "resource_record_value"}
NOT_GIVEN = {"region", "tagsAll"}  # set by Pulumi's provider alone
MAPS = {"tags"}  # whose keys are the user's
SHORTEST_NAME = 6  # anything shorter is no name, but a part of others


def configuration(resources: Sequence[Resource]) -> dict[str, Any]:
    """Return the `resource` part of a configuration with these resources of a state (`pulumi stack export`).

    What a resource has from another one is a reference; all that it depends on by Pulumi is in its `depends_on`.
    """
    made = [entry for entry in resources if entry.get("custom") and not entry["type"].startswith("pulumi:")]
    known = {entry["urn"]: entry for entry in made}
    found: dict[str, dict[str, Any]] = {}
    for entry in made:
        kind, name = _address(entry)
        needed = [known[urn] for urn in sorted({*entry.get("dependencies", ())} & {*known})]
        given = _referring(_plain(entry["inputs"]), [pair for other in needed for pair in _references(other)])
        body = {"input": json.dumps(given)} if kind == "terraform_data" else _arguments(given)
        if needed:
            body["depends_on"] = [".".join(_address(other)) for other in needed]
        found.setdefault(kind, {})[name] = body
    return found


def _address(entry: Resource) -> tuple[str, str]:
    name = re.sub(r"\W", "_", entry["urn"].rpartition("::")[2])
    package, _, rest = entry["type"].partition(":")
    if package != "aws":
        # Types of Kubernetes share names with those of AWS.
        return "terraform_data", f"{name}_{rest.rpartition(':')[2]}"
    module, _, kind = rest.partition("/")
    return TYPES.get(entry["type"]) or f"aws_{module}_{_snake(kind.partition(':')[0])}", name


def _references(entry: Resource) -> list[tuple[str, str]]:
    """Return what others may have of a resource, and how it is referred to."""
    kind, name = _address(entry)
    if kind == "terraform_data":
        return []
    outputs = entry.get("outputs", {}) | {"id": entry["id"]}
    found = [(outputs.get(key), f"${{{kind}.{name}.{attribute}}}") for key, attribute in NAMING.items()]
    for number, option in enumerate(outputs.get("domainValidationOptions", ())):
        options = f"tolist({kind}.{name}.domain_validation_options)[{number}]"
        for key, attribute in OPTIONS.items():  # with and without the root's dot
            found += [(form, f"${{{options}.{attribute}}}") for form in (option[key], option[key].rstrip("."))]
    return [(value, reference) for value, reference in found if value and len(value) >= SHORTEST_NAME]


def _referring(given: Any, references: list[tuple[str, str]]) -> Any:
    """Return inputs in which whatever names another resource refers to it."""
    if isinstance(given, dict):
        return {key: _referring(value, references) for key, value in given.items()}
    if isinstance(given, list):
        return [_referring(value, references) for value in given]
    if not isinstance(given, str):
        return given
    # The longest first, which others may be parts of; all at once, since a reference is no text to search.
    by_value = dict(reversed(references))
    names = sorted(by_value, key=len, reverse=True)
    literal = given.replace("${", "$${")
    return re.sub("|".join(map(re.escape, names)), lambda hit: by_value[hit[0]], literal) if names else literal


def _plain(value: Any) -> Any:
    """Return inputs without what Pulumi adds: its own keys, and the envelope of a secret."""
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
