"""The settings of the KMS keys that encrypt the data of an instance."""

import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator, model_validator

from components.config.base import Section, value_without_problems, without_duplicates

# AWS KMS developer guide, 'Key identifiers'. The id of a multi-Region key begins with mrk-.
KEY_PATTERN = (
    r"^arn:aws:kms:[a-z]{2}(-[a-z]+)+-[0-9]:[0-9]{12}:key/([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32})$"
)
MOST_FORMER = 20
EXAMPLE = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def checked_key(arn: str) -> str:
    """Return the ARN of a key; raises `ValueError` for an alias, another partition, and any other text."""
    if re.fullmatch(KEY_PATTERN, arn):
        return arn
    if re.match("arn:aws-[a-z-]+:kms:", arn):
        raise ValueError(f"{arn!r} is in another AWS partition, which is not supported; name a key of the standard one")
    if "alias/" in arn:
        raise ValueError(
            f"{arn!r} is an alias; IAM policies cannot name a key by its alias, and an alias can move to another key. Write the "
            f"key's own ARN, which `aws kms describe-key --key-id {arn} --query KeyMetadata.Arn` prints"
        )
    raise ValueError(f"{arn!r} is not the ARN of a KMS key such as {EXAMPLE}")


KeyArn = Annotated[str, AfterValidator(checked_key), Field(json_schema_extra={"pattern": KEY_PATTERN})]


class KmsKeys(Section):
    """ARNs of the KMS keys that encrypt buckets and secrets. The keys must exist, in the region of the instance."""

    buckets: Annotated[
        KeyArn | None,
        Field(
            description="Key of all buckets of tenants. New objects are encrypted by it, with S3 Bucket Keys. Before you change or "
            "remove it, add it to `former`. Default: none, S3's own keys."
        ),
    ] = None
    former: Annotated[
        list[KeyArn],
        Field(
            description="Keys that `buckets` named before. Their objects stay encrypted by them, so the roles of tenants may still "
            "use them. At most 20. Default: none."
        ),
    ] = []
    secrets: Annotated[
        KeyArn | None,
        Field(
            description="Key of the secrets in Secrets Manager. If you remove it, the update replaces the secrets. Default: none, "
            "the key aws/secretsmanager."
        ),
    ] = None

    @field_validator("former")
    @classmethod
    def _distinct(cls, keys: list[str]) -> list[str]:
        if len(keys) > MOST_FORMER:
            raise ValueError(
                f"has {len(keys)} keys, but at most {MOST_FORMER} fit into the tags of a bucket and the policy of a role; remove those "
                "whose data has expired"
            )
        return without_duplicates(keys)

    @model_validator(mode="after")
    def _former_is_another(self) -> "KmsKeys":
        twice = [f"{key} is `buckets`, too; remove it from `former`" for key in self.former if key == self.buckets]
        return value_without_problems(twice, self)

    @property
    def of_objects(self) -> tuple[str, ...]:
        """The keys by which objects may be encrypted: the present one first."""
        return (*filter(None, [self.buckets]), *self.former)

    def by_setting(self) -> Iterator[tuple[str, str]]:
        """Yield each key after the name of its setting."""
        yield from (("buckets", key) for key in filter(None, [self.buckets]))
        yield from ((f"former[{number}]", key) for number, key in enumerate(self.former))
        yield from (("secrets", key) for key in filter(None, [self.secrets]))


NO_KEYS = KmsKeys()


def region_of(key: str) -> str:
    """Return the region in the ARN of a key."""
    return key.split(":")[3]


def region_problems(keys: KmsKeys, region: str) -> list[str]:
    """Return a problem for each key that is not in the region of the instance: neither S3 nor Secrets Manager could use it."""
    return [
        f"opstrace:aws.kmsKeys.{setting}: {key} is in {region_of(key)}, but buckets and secrets are in {region} and take keys of "
        f"their own region alone; name a key in {region}"
        for setting, key in keys.by_setting()
        if region_of(key) != region
    ]
