"""IAM users of the embedded AWS that have given policies, and nothing else."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tests.support.embedded_aws import refusal

USER = "deployer"


def make_user(iam: Any, policies: Mapping[str, Any], name: str = USER) -> dict[str, str]:
    """Create a user with managed policies, by name; return its access key under boto3's names."""
    iam.create_user(UserName=name)
    for policy, content in policies.items():
        arn = iam.create_policy(PolicyName=policy, PolicyDocument=json.dumps(content))["Policy"]["Arn"]
        iam.attach_user_policy(UserName=name, PolicyArn=arn)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}


def remove_user(iam: Any, name: str = USER) -> None:
    """Delete a user with its keys and policies."""
    for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    for policy in iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]:
        iam.detach_user_policy(UserName=name, PolicyArn=policy["PolicyArn"])
        iam.delete_policy(PolicyArn=policy["PolicyArn"])
    iam.delete_user(UserName=name)


def without(policy: Mapping[str, Any], sids: Iterable[str]) -> dict[str, Any]:
    """Return a policy without some of its statements."""
    kept = [statement for statement in policy["Statement"] if statement["Sid"] not in sids]
    assert len(kept) < len(policy["Statement"])
    return {**policy, "Statement": kept}


def is_refused(call: Any, **arguments: Any) -> bool:
    """Tell whether AWS refuses a call for want of a right; any other refusal means that the caller has it."""
    answer = refusal(call, **arguments)
    return answer is not None and answer[1] in ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
