"""Attachments of autoscaling groups that are gone, as after the replacement of a node group.

AWS detaches nothing from a group that does not exist, so an update or a removal would fail at such an attachment.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from components.core.resource_names import ATTACHMENT_TYPE
from scripts.clients.aws import Clients


def gone_attachments(resources: Iterable[Mapping[str, Any]], aws: Clients) -> dict[str, str]:
    """Return the attachments of a state whose autoscaling group does not exist: URN to the group's name.

    None where AWS does not answer: the update that follows fails then, and says why.
    """
    attached = {
        str(entry["urn"]): str(entry["inputs"]["autoscalingGroupName"])
        for entry in resources
        if entry["type"] == ATTACHMENT_TYPE
    }
    if not attached:
        return {}
    pages = (
        aws["autoscaling"]
        .get_paginator("describe_auto_scaling_groups")
        .paginate(AutoScalingGroupNames=sorted({*attached.values()}))
    )
    try:
        existing = {group["AutoScalingGroupName"] for page in pages for group in page["AutoScalingGroups"]}
    except (BotoCoreError, ClientError):
        return {}
    return {urn: group for urn, group in attached.items() if group not in existing}
