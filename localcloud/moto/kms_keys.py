"""Corrections of moto where services use keys of KMS: it encrypts by any key, whether or not the key exists and is enabled."""

import inspect
from collections.abc import Mapping
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.kms.models import Key, KmsBackend, kms_backends
from moto.s3.models import S3Backend
from moto.secretsmanager.models import SecretsManagerBackend

SYMMETRIC = "SYMMETRIC_DEFAULT"
S3_DEFAULT = {"Rule": {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": "false"}}


class UnusableKeyError(Exception):
    """A key that KMS refuses to use; `code` is KMS's own name of the error."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def usable_key(name: str, region: str) -> Key:
    """Return the symmetric key that a service may use by this ARN, id or alias; raises `UnusableKeyError`.

    Source: KMS API reference, 'Errors' of GenerateDataKey.
    """
    parts = name.split(":")
    account = parts[4] if len(parts) > 5 else DEFAULT_ACCOUNT_ID  # noqa: PLR2004 the parts of an ARN
    if len(parts) > 5 and parts[3] != region:  # noqa: PLR2004 the parts of an ARN
        raise UnusableKeyError("NotFoundException", f"Invalid arn {parts[3]}")
    backend = kms_backends[account][region]
    key = backend.keys.get(str(backend.any_id_to_key_id(name)))
    if key is None:
        raise UnusableKeyError("NotFoundException", f"Key '{name}' does not exist")
    if key.key_state == "Disabled":
        raise UnusableKeyError("DisabledException", f"{key.arn} is disabled.")
    if key.key_state != "Enabled":
        raise UnusableKeyError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
    if key.key_spec != SYMMETRIC:
        raise UnusableKeyError("InvalidKeyUsageException", f"{key.arn} key usage is not valid for GenerateDataKey.")
    return key


def by_any_id(call: Any) -> Any:
    """Take the ARN of a key, too; moto answers with a traceback. Source: KMS API reference, `KeyId` of DisableKey."""

    def called(backend: KmsBackend, key_id: str, *arguments: Any) -> Any:
        return call(backend, backend.get_key_id(key_id), *arguments)

    return called


def with_default_encryption(get: Any) -> Any:
    """Return the encryption that S3 gives every bucket; moto answers that there is none.

    Source: Amazon S3 user guide, 'Setting default server-side encryption behavior', since January 2023.
    """

    def get_bucket_encryption(backend: S3Backend, bucket_name: str) -> dict[str, Any]:
        return get(backend, bucket_name) or S3_DEFAULT

    return get_bucket_encryption


def encrypting(call: Any, failure: str) -> Any:
    """Refuse to write or read a value of a secret whose key cannot be used.

    `failure` is Secrets Manager's name of the error. Source: Secrets Manager API reference, PutSecretValue, UpdateSecret and
    GetSecretValue.
    """

    def called(backend: SecretsManagerBackend, *arguments: Any, **named: Any) -> Any:
        given = inspect.signature(call).bind(backend, *arguments, **named).arguments
        key = _key_in_use(call.__name__, backend.secrets.get(given["secret_id"]), given)
        if key and key != backend.DEFAULT_KMS_KEY_ALIAS:
            try:
                usable_key(key, backend.region_name)
            except UnusableKeyError as error:
                raise JsonRESTError(failure, str(error)) from error
        return call(backend, *arguments, **named)

    return called


def _key_in_use(operation: str, secret: Any, given: Mapping[str, Any]) -> str | None:
    """Return the key that Secrets Manager uses in an operation: none for another description, or without any value."""
    own, has_value = getattr(secret, "kms_key_id", None), bool(getattr(secret, "versions", None))
    if given.get("secret_string"):
        return given.get("kms_key_id") or own
    if not has_value:
        return None
    return (
        own if operation == "get_secret_value" else given.get("kms_key_id")
    )  # by a new key, the values are encrypted again
