"""A check of the nodes: who may take the role of one."""

from collections.abc import Iterable, Mapping
from typing import Any

from scripts.checks.finding import Finding, or_ok, warning
from scripts.checks.subject import Subject

SHOWN = 5  # instances that a message names


def find_metadata(subject: Subject) -> list[Finding]:
    """Check that pods cannot reach the credentials of their node."""
    return metadata_findings(subject.node_instances)


def metadata_findings(instances: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Return what the metadata options of the nodes' instances mean."""
    name = "instance metadata"
    open_ones = [one["InstanceId"] for one in instances if _is_open(one.get("MetadataOptions") or {})]
    if not open_ones:
        return or_ok([], name, "closed to pods")
    shown = ", ".join(open_ones[:SHOWN]) + (" and others" if len(open_ones) > SHOWN else "")
    return [
        warning(
            name,
            f"every pod can take the role of its node on {shown}: IMDSv2 is not required, or its hop limit is above 1",
            "set it in the launch template; for a running node: `aws ec2 modify-instance-metadata-options --instance-id ID "
            "--http-tokens required --http-put-response-hop-limit 1`",
        )
    ]


def _is_open(options: Mapping[str, Any]) -> bool:
    if options.get("HttpEndpoint") == "disabled":
        return False
    return options.get("HttpTokens") != "required" or int(options.get("HttpPutResponseHopLimit", 1)) > 1
