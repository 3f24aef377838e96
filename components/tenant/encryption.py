"""The encryption of a tenant's buckets by KMS keys, and what roles may do with these keys."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components.config.platform.kms_keys import NO_KEYS, KmsKeys
from components.core.errors import ConfigError
from components.core.names import BucketKind
from components.core.resource_names import ENCRYPTION_TYPE, ROLE_POLICY_TYPE, bucket_part_name
from components.shared.options import child
from components.shared.recorded_outputs import RecordedResource


@dataclass(frozen=True, kw_only=True)
class ObjectKeys:
    """The KMS keys of the objects in a tenant's buckets, and the region in which S3 uses them."""

    keys: KmsKeys
    region: str

    def statements(self, contexts: Sequence[str]) -> list[dict[str, Any]]:
        """Return the IAM statements that let a role write and read objects under the keys, through S3 alone; none without keys.

        All tenants share the keys. S3 binds each data key to a bucket by its encryption context, so `contexts` are the ARNs of
        the role's own buckets, and patterns of its objects: objects that were written without a bucket key have their own ARN.
        Former keys are permitted the same: an upload that began before a change needs `kms:GenerateDataKey` of the former key.
        """
        if not self.keys.of_objects:
            return []
        condition = {
            "StringEquals": {"kms:ViaService": f"s3.{self.region}.amazonaws.com"},
            "StringLike": {"kms:EncryptionContext:aws:s3:arn": [*contexts]},
        }
        actions = ["kms:Decrypt", "kms:GenerateDataKey"]
        return [{"Effect": "Allow", "Action": actions, "Resource": [*self.keys.of_objects], "Condition": condition}]


NO_OBJECT_KEYS = ObjectKeys(keys=NO_KEYS, region="")


def rules(keys: KmsKeys) -> Any:
    """Return the default encryption of a bucket: by the present key with an S3 Bucket Key, or by S3's own keys.

    With a bucket key, S3 asks KMS for a key of the bucket and not for one of each object. The type is Any, as that of the
    lifecycle rules.
    """
    default = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
        sse_algorithm="aws:kms" if keys.buckets else "AES256", kms_master_key_id=keys.buckets
    )
    return [
        aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
            apply_server_side_encryption_by_default=default, bucket_key_enabled=keys.buckets is not None
        )
    ]


@dataclass(frozen=True, kw_only=True)
class EncryptionArgs:
    """The keys of a tenant's buckets.

    Attributes:
        keys: the keys in the settings.
        allowed: is known once the tenant's role may use the keys.
        retain: whether the buckets are retained when the tenant is deleted.
    """

    keys: KmsKeys
    allowed: pulumi.Output[Any]
    retain: bool


def declare_encryption(
    name: str, args: EncryptionArgs, buckets: Mapping[BucketKind, pulumi.Output[str]], parent: pulumi.Resource
) -> dict[BucketKind, pulumi.Output[str]]:
    """Declare the default encryption of a tenant's buckets, where the settings name a key.

    With former keys alone, the buckets return to S3's own keys by an update in place: a deletion would come last in the
    update, and a retained bucket would keep the former key.

    Returns:
        The physical names of the buckets, which are known once their encryption is as declared.
    """
    if not args.keys.of_objects:
        return dict(buckets)
    retained = pulumi.ResourceOptions(retain_on_delete=args.retain)
    return {
        kind: aws.s3.BucketServerSideEncryptionConfiguration(
            bucket_part_name(name, kind, "encryption"),
            bucket=pulumi.Output.all(bucket, args.allowed).apply(lambda pair: str(pair[0])),
            rules=rules(args.keys),
            opts=child(parent, more=retained),
        ).bucket
        for kind, bucket in buckets.items()
    }


def require_former_keys(keys: KmsKeys, state: Mapping[str, RecordedResource]) -> None:
    """Raise `ConfigError` where an update would take a key from the roles by which they still write.

    A key that only former objects have may go; that is a warning. The comparison is with the state, so that it holds after an
    update that failed halfway. A key that somebody else gave to a bucket does not count, because no role could write with it.

    Args:
        keys: the keys in the settings.
        state: the resources of the stack, by URN.
    """
    permitted, present = {*_permitted(state)}, {*_present(state)}
    lost = permitted - {*keys.of_objects}
    if in_use := sorted(lost & present):
        raise ConfigError(
            f"opstrace:aws.kmsKeys no longer names {', '.join(in_use)}, but buckets of tenants are encrypted by it: the roles would "
            "lose the key, and no back end could read its data. Add it to opstrace:aws.kmsKeys.former"
        )
    if lost:
        pulumi.log.warn(
            f"aws.kmsKeys.former no longer names {', '.join(sorted(lost))}: the back ends cannot read objects that are encrypted by "
            "it. Remove a former key only after the retention of all data that it encrypted"
        )


def _present(state: Mapping[str, RecordedResource]) -> Iterator[str]:
    """Yield the keys by which buckets encrypt new objects."""
    for entry in state.values():
        for rule in (entry.outputs.get("rules") or ()) if entry.type == ENCRYPTION_TYPE else ():
            default = rule.get("applyServerSideEncryptionByDefault") or {}
            yield from filter(None, [default.get("kmsMasterKeyId")])


def _permitted(state: Mapping[str, RecordedResource]) -> Iterator[str]:
    """Yield the keys that roles may use. A refresh records policies as somebody else may have written them."""
    for entry in state.values():
        if entry.type == ROLE_POLICY_TYPE:
            document = json.loads(entry.outputs.get("policy") or "{}")
            for statement in _listed(document.get("Statement")):
                if "kms:Decrypt" in _listed(statement.get("Action")):
                    yield from _listed(statement.get("Resource"))


def _listed(value: Any) -> list[Any]:
    """Return the values of an element of a policy, where one may stand for a list of one."""
    return value if isinstance(value, list) else [] if value is None else [value]
