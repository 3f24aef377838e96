"""What the program declares for the KMS keys of an instance, and which changes of keys it refuses."""

import json
from typing import Any

import pulumi
import pytest

from components.config.load import from_settings
from components.config.platform.kms_keys import NO_KEYS, KmsKeys
from components.core.errors import ConfigError
from components.core.resource_names import (
    BUCKET_POLICY_TYPE,
    BUCKET_TYPE,
    ENCRYPTION_TYPE,
    ROLE_POLICY_TYPE,
    SECRET_TYPE,
)
from components.core.tags import FORMER_KEY_TAG
from components.shared.recorded_outputs import RecordedResource
from components.tenant.base import TenantBase
from components.tenant.encryption import ObjectKeys, require_former_keys
from tests.support.factories import CLUSTER, kms_key, settings
from tests.support.pulumi_mocks import Resources, declared
from tests.support.recorded_state import resource

KEY, FORMER, SECRETS = kms_key(1), kms_key(2), kms_key(3)
TENANTS = [{"name": "default", "alertmanager": {"enabled": True}}]
USE = {"kms:Decrypt", "kms:GenerateDataKey"}


def resources(tenants: list[dict[str, Any]] = TENANTS, **keys: Any) -> Resources:
    return declared(settings(tenants=tenants, aws={"region": "us-west-2", "kmsKeys": keys}))


def encryption(found: Resources) -> list[dict[str, Any]]:
    return [entry.inputs for entry in found if entry.typ == ENCRYPTION_TYPE]


def uses(found: Resources) -> list[dict[str, Any]]:
    """Return the statements about keys in the policies of roles, each with the buckets of the role."""
    result = []
    for entry in found:
        if entry.typ == ROLE_POLICY_TYPE:
            statements = json.loads(entry.inputs["policy"])["Statement"]
            (buckets,) = (one["Resource"] for one in statements if "s3:ListBucket" in one["Action"])
            result += [one | {"buckets": buckets} for one in statements if USE & {*one["Action"]}]
    return result


def test_every_bucket_encrypts_by_the_key_with_a_bucket_key() -> None:
    found = resources(buckets=KEY)
    buckets = {entry.inputs["bucket"] for entry in found if entry.typ == BUCKET_TYPE}
    assert len(buckets) == 6  # of `system` and of a tenant
    rule = {
        "applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": KEY},
        "bucketKeyEnabled": True,
    }
    assert {entry["bucket"]: entry["rules"] for entry in encryption(found)} == {bucket: [rule] for bucket in buckets}


def test_every_role_may_use_the_keys_through_s3_for_its_own_buckets_alone() -> None:
    found = uses(resources(buckets=KEY, former=[FORMER]))
    assert len(found) == 3  # of `system`, of the tenant, of its Alertmanager
    for use in found:
        assert ({*use["Action"]}, use["Resource"], use["Effect"]) == (USE, [KEY, FORMER], "Allow")
        condition = use["Condition"]
        assert condition["StringEquals"] == {"kms:ViaService": "s3.us-west-2.amazonaws.com"}
        (contexts,) = condition["StringLike"].values()
        assert [*condition["StringLike"]] == ["kms:EncryptionContext:aws:s3:arn"]
        buckets = use["buckets"] if isinstance(use["buckets"], list) else [use["buckets"]]
        parts = ["/*"] if len(buckets) > 1 else ["/alerts/*"]
        assert contexts == [*buckets, *(f"{bucket}{part}" for bucket in buckets for part in parts)]


def test_the_key_of_secrets_opens_nothing_for_pods() -> None:
    found = resources(secrets=SECRETS)
    assert encryption(found) == uses(found) == []
    assert [entry.inputs["kmsKeyId"] for entry in found if entry.typ == SECRET_TYPE] == [SECRETS, SECRETS]


def test_without_keys_nothing_is_declared_for_them() -> None:
    found = declared(settings(tenants=TENANTS))
    assert encryption(found) == uses(found) == []
    assert not any("kmsKeyId" in entry.inputs for entry in found if entry.typ == SECRET_TYPE)
    assert any(entry.typ == BUCKET_POLICY_TYPE for entry in found)


def test_without_a_present_key_buckets_return_to_s3_s_own_and_roles_keep_the_former() -> None:
    found = resources(former=[FORMER])
    rule = {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}, "bucketKeyEnabled": False}
    assert [entry["rules"] for entry in encryption(found)] == [[rule]] * 6
    assert [use["Resource"] for use in uses(found)] == [[FORMER]] * 3


def test_tags_of_buckets_record_the_former_keys_for_whoever_adopts_the_data() -> None:
    for keys in ({"buckets": KEY, "former": [FORMER, SECRETS]}, {"former": [FORMER, SECRETS]}):
        tags = [entry.inputs["tags"] for entry in resources(**keys) if entry.typ == BUCKET_TYPE]
        recorded = [{key: value for key, value in each.items() if key.startswith(FORMER_KEY_TAG)} for each in tags]
        assert recorded == [{f"{FORMER_KEY_TAG}0": FORMER, f"{FORMER_KEY_TAG}1": SECRETS}] * 6
    assert not any(FORMER_KEY_TAG in str(entry.inputs) for entry in resources(buckets=KEY))


def test_a_tenant_in_its_own_stack_uses_the_keys_of_its_instance() -> None:
    keys = {"buckets": KEY, "former": [FORMER]}
    config = from_settings(settings(aws={"region": "us-west-2", "kmsKeys": keys}), "showdown")
    exported = {"instance": "showdown", "domain": "showdown.example.com", "port": 443, "zoneId": "Z1", "tags": {}}
    exported |= {"listenerArn": "arn", "entranceDnsName": "lb.example", "tenantDefaults": {}, "cluster": CLUSTER}
    base = TenantBase.imported(exported | {"aws": config.aws.model_dump(by_alias=True, exclude_none=True)})
    assert base.object_keys == ObjectKeys(keys=config.aws.keys, region="us-west-2")


def state(present: str | None, *permitted: str) -> dict[str, RecordedResource]:
    """Return a state with one bucket, whose encryption is by a key, and a role that may use some."""
    default = {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": present} if present else {"sseAlgorithm": "AES256"}
    keys = ObjectKeys(keys=KmsKeys(former=[*permitted]), region="us-west-2")
    policy = json.dumps({"Version": "2012-10-17", "Statement": keys.statements(["arn:aws:s3:::b"])})
    return {
        "urn:bucket": resource(BUCKET_TYPE, {"bucket": "b"}),
        "urn:encryption": resource(ENCRYPTION_TYPE, {"rules": [{"applyServerSideEncryptionByDefault": default}]}),
        "urn:policy": resource(ROLE_POLICY_TYPE, {"policy": policy}),
    }


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", found.append)
    return found


@pytest.mark.parametrize("keys", [NO_KEYS, KmsKeys(buckets=FORMER), KmsKeys(buckets=SECRETS, former=[FORMER])])
def test_a_key_by_which_buckets_are_encrypted_cannot_just_go(keys: KmsKeys) -> None:
    with pytest.raises(ConfigError, match=f"no longer names {KEY}, but .* Add it to opstrace:aws.kmsKeys.former"):
        require_former_keys(keys, state(KEY, KEY, FORMER))


@pytest.mark.parametrize("keys", [KmsKeys(buckets=KEY), KmsKeys(former=[KEY]), KmsKeys(buckets=SECRETS, former=[KEY])])
def test_a_key_that_becomes_a_former_one_may_be_replaced(keys: KmsKeys, warnings: list[str]) -> None:
    require_former_keys(keys, state(KEY, KEY))
    require_former_keys(keys, {})  # before the first update
    assert warnings == []


def test_a_former_key_may_go_with_a_warning(warnings: list[str]) -> None:
    require_former_keys(NO_KEYS, state(None, FORMER))
    require_former_keys(KmsKeys(buckets=KEY), state(KEY, KEY, FORMER))
    assert [FORMER in text and "cannot read objects" in text for text in warnings] == [True, True]


def test_a_key_that_somebody_else_gave_to_a_bucket_is_taken_away(warnings: list[str]) -> None:
    require_former_keys(KmsKeys(buckets=KEY), state(SECRETS, KEY))
    require_former_keys(NO_KEYS, state(SECRETS))
    assert warnings == []


ALLOW = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": KEY}


@pytest.mark.parametrize(
    ("policy", "is_refused"),
    [
        ({"Statement": ALLOW}, True),
        ({"Statement": [ALLOW | {"Action": ["kms:Decrypt"], "Resource": [KEY]}]}, True),
        ({"Statement": [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}]}, False),
        ({"Statement": [{"Effect": "Deny", "Action": "s3:*", "NotResource": "x"}]}, False),
        ({}, False),
    ],
)
def test_a_policy_that_somebody_else_wrote_is_read_as_iam_reads_it(policy: dict[str, Any], is_refused: bool) -> None:
    """A refresh records it."""
    found = state(KEY) | {"urn:policy": resource(ROLE_POLICY_TYPE, {"policy": json.dumps(policy)})}
    if is_refused:
        with pytest.raises(ConfigError, match=f"no longer names {KEY}, but"):
            require_former_keys(NO_KEYS, found)
    else:
        require_former_keys(NO_KEYS, found)
