"""The settings of KMS keys: keys that AWS would refuse, or only use later, are refused before anything changes."""

from typing import Any

import pytest

from components.config.load import from_settings
from components.config.platform.aws import AwsConfig
from components.core.errors import ConfigError
from tests.support.factories import kms_key, settings

KEY = kms_key(1)
OTHER_ACCOUNT = KEY.replace("123456789012", "210987654321")
MULTI_REGION = f"{KEY.rpartition('/')[0]}/mrk-{'a' * 32}"


def configured(keys: dict[str, Any]) -> AwsConfig:
    return from_settings(settings(aws={"region": "us-west-2", "kmsKeys": keys}), "showdown").aws


@pytest.mark.parametrize("key", [KEY, OTHER_ACCOUNT, MULTI_REGION])
def test_keys_of_any_account_of_the_region_are_accepted(key: str) -> None:
    keys = configured({"buckets": key, "secrets": key, "former": [kms_key(2)]}).keys
    assert (keys.of_objects, keys.secrets) == ((key, kms_key(2)), key)


def test_there_are_none_by_default() -> None:
    account = from_settings(settings(), "showdown").aws
    assert account.keys.of_objects == () and account.keys.secrets is None
    assert "kmsKeys" not in account.model_dump(by_alias=True, exclude_none=True)  # tenants with own stacks read this


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"buckets": "alias/observability"}, "aws.kmsKeys.buckets: 'alias/observability' is an alias; IAM policies cannot"),
        (
            {"buckets": "arn:aws:kms:us-west-2:123456789012:alias/observability"},
            "`aws kms describe-key --key-id arn:aws:kms:us-west-2:123456789012:alias/observability --query KeyMetadata.Arn`",
        ),
        ({"secrets": "1234abcd-12ab-34cd-56ef-1234567890ab"}, "aws.kmsKeys.secrets: '1234abcd-12ab-34cd-56ef-1234567890ab' is not the ARN"),
        ({"secrets": "arn:aws:iam::123456789012:role/x"}, "is not the ARN of a KMS key such as arn:aws:kms:us-west-2:111122223333:key/"),
        ({"buckets": KEY.replace("arn:aws:", "arn:aws-us-gov:")}, "is in another AWS partition"),
        ({"buckets": kms_key(1, "eu-west-1")}, f"aws.kmsKeys.buckets: {kms_key(1, 'eu-west-1')} is in eu-west-1, but buckets and secrets are in us-west-2"),
        ({"secrets": kms_key(1, "eu-west-1")}, "name a key in us-west-2"),
        ({"former": [KEY, kms_key(2, "eu-west-1")]}, "opstrace:aws.kmsKeys.former[1]: "),
        ({"former": [KEY, KEY]}, "aws.kmsKeys.former: given more than once"),
        ({"former": [kms_key(number) for number in range(21)]}, "aws.kmsKeys.former: has 21 keys, but at most 20 fit"),
        ({"buckets": KEY, "former": [KEY]}, f"aws.kmsKeys: {KEY} is `buckets`, too; remove it from `former`"),
        ({"bucket": KEY}, "aws.kmsKeys.bucket: there is no such setting; did you mean 'buckets'?"),
    ],
)  # fmt: skip
def test_a_key_that_aws_could_not_use_is_refused(keys: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match="1 problem") as refused:
        configured(keys)
    assert told in str(refused.value)
