"""The IAM policies of an instance's deployer, from its stack file.

`network` and `data` together are what the deployer needs; they are too long for one managed policy. `boundary` bounds the
roles that the deployer creates.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from components.config.stack import StackConfig
from components.core.errors import UserError
from components.core.names import account_of, instance_domain
from scripts.instances.deployer import rights as statements
from scripts.instances.deployer.key_rights import keys
from scripts.instances.deployer.rights import Right, Scope

LONGEST = 6144  # characters of a managed policy without white space (IAM user guide, 'IAM and AWS STS quotas')
Part = Literal["network", "data", "boundary"]
PARTS: Mapping[Part, tuple[Callable[[Scope], list[Right]], ...]] = {
    "network": (
        statements.reading,
        statements.domain_names,
        statements.certificates,
        statements.network,
        statements.load_balancing,
    ),
    "data": (
        statements.cluster,
        statements.storage,
        statements.roles,
        statements.secrets,
        keys,
    ),
    "boundary": (statements.of_tenants,),
}
DEPLOYER: tuple[Part, ...] = ("network", "data")


@dataclass(frozen=True)
class State:
    """Where Pulumi keeps the state: the S3 bucket by name, and the key of KMS for its secrets by ARN."""

    bucket: str | None = None
    key: str | None = None


def scope_of(instance: str, config: StackConfig) -> Scope:
    """Return where the deployer of an instance works."""
    return Scope(
        instance=instance,
        domain=instance_domain(instance, config.domain),
        account=account_of(config.cluster.oidc_provider_arn),
        region=config.aws.region,
        vpc_id=config.load_balancer.vpc_id,
        node_security_group_id=config.cluster.node_security_group_id,
        oidc_provider_arn=config.cluster.oidc_provider_arn,
        eks_name=config.cluster.eks_name,
        role_path=config.aws.role_path or "/",
        permissions_boundary=config.aws.permissions_boundary,
        bucket_keys=config.aws.keys.of_objects,
        secrets_key=config.aws.keys.secrets,
    )


def rights(part: Part, scope: Scope, state: State | None = None) -> list[Right]:
    """Return the statements of a part; those on the state belong to `data`."""
    found = [right for rights_of in PARTS[part] for right in rights_of(scope)]
    return found + _rights_on_state(state or State()) if part == "data" else found


def _rights_on_state(state: State) -> list[Right]:
    bucket = f"arn:aws:s3:::{state.bucket}"
    found = []
    if state.bucket:
        of_objects = ("s3:DeleteObject", "s3:GetObject", "s3:PutObject")
        found += [
            Right("StateBucket", "Lists Pulumi's state.", ("s3:ListBucket",), (bucket,)),
            Right("State", "Reads and writes Pulumi's state.", of_objects, (f"{bucket}/.pulumi/*",)),
        ]
    if state.key:
        of_key = ("kms:Decrypt", "kms:Encrypt")
        found.append(Right("StateKey", "Encrypts the secrets of the state.", of_key, (state.key,)))
    return found


def document(allowed: Sequence[Right]) -> dict[str, Any]:
    """Return a policy with these statements; raises `UserError` where IAM would refuse it as too long."""
    policy = {"Version": "2012-10-17", "Statement": [right.plain() for right in allowed]}
    length = len(re.sub(r"\s", "", json.dumps(policy)))
    if length > LONGEST:
        raise UserError(
            f"the policy has {length} characters, but a managed policy has at most {LONGEST}, because of long names or many keys; "
            "use a shorter aws.rolePath or fewer keys"
        )
    return policy
