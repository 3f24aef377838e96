"""Corrections of moto where services use keys of KMS: it encrypts by any key, whether or not the key exists and is enabled."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.kms.models import Key, KmsBackend, kms_backends
from moto.s3.models import S3Backend
from moto.secretsmanager.models import SecretsManagerBackend

SYMMETRIC = "SYMMETRIC_DEFAULT"
KEYS = "kms_key_ids"  # in a version of a secret
S3_DEFAULT = {"Rule": {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": "false"}}


class UnusableKeyError(Exception):
    """A key that KMS refuses to use; `code` is KMS's own name of the error."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def key_named(name: str, region: str) -> Key | None:
    """Return the key with this ARN, id or alias in a region, None where there is none."""
    parts = name.split(":")
    account = parts[4] if len(parts) > 5 else DEFAULT_ACCOUNT_ID  # noqa: PLR2004 the parts of an ARN
    backend = kms_backends[account][region]
    return backend.keys.get(str(backend.any_id_to_key_id(name)))


def usable_key(name: str, region: str) -> Key:
    """Return the symmetric key that a service may use by this ARN, id or alias; raises `UnusableKeyError`.

    Source: KMS API reference, 'Errors' of GenerateDataKey.
    """
    parts = name.split(":")
    if len(parts) > 5 and parts[3] != region:  # noqa: PLR2004 the parts of an ARN
        raise UnusableKeyError("NotFoundException", f"Invalid arn {parts[3]}")
    key = key_named(name, region)
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


def storing(call: Any) -> Any:
    """Wrap an operation that stores a value of a secret, or changes its key: the key must be usable.

    After a change, the former key and the new one decrypt the values, if the former one is usable. Sources: Secrets Manager API
    reference, PutSecretValue and UpdateSecret; its user guide, 'Secret encryption and decryption'.
    """

    def called(backend: SecretsManagerBackend, *arguments: Any, **named: Any) -> Any:
        given = inspect.signature(call).bind(backend, *arguments, **named).arguments
        secret = backend.secrets.get(given["secret_id"])
        if secret is None:
            return call(backend, *arguments, **named)
        key, before = given.get("kms_key_id") or key_of_secret(secret), [*secret.versions]
        if given.get("secret_string") or (before and given.get("kms_key_id")):
            _require_usable(backend, [key], "EncryptionFailure")
        for version in secret.versions.values():
            version[KEYS] = keys_of_version(secret, version)
        answer = call(backend, *arguments, **named)
        for identity, version in secret.versions.items():
            if identity not in before:
                version[KEYS] = [key]
            elif version[KEYS][-1] != key and is_usable(version[KEYS][-1], backend.region_name):
                version[KEYS] = [*version[KEYS], key]
        return answer

    return called


def reading(call: Any) -> Any:
    """Wrap the operation that reads a value of a secret: a key that decrypts it must be usable."""

    def get_secret_value(backend: SecretsManagerBackend, secret_id: str, version_id: str, version_stage: str) -> Any:
        answer = call(backend, secret_id, version_id, version_stage)
        secret: Any = backend.secrets[secret_id]
        _require_usable(backend, keys_of_version(secret, secret.versions[answer["VersionId"]]), "DecryptionFailure")
        return answer

    return get_secret_value


def keys_of_version(secret: Any, version: Mapping[str, Any]) -> list[str]:
    """Return the keys that decrypt a version of a secret, the latest last."""
    return list(version.get(KEYS) or [key_of_secret(secret)])


def key_of_secret(secret: Any) -> str:
    """Return the key of a secret, by default the one that AWS has for Secrets Manager."""
    return str(secret.kms_key_id or SecretsManagerBackend.DEFAULT_KMS_KEY_ALIAS)


def is_usable(key: str, region: str) -> bool:
    """Tell whether Secrets Manager can use a key."""
    try:
        return key == SecretsManagerBackend.DEFAULT_KMS_KEY_ALIAS or bool(usable_key(key, region))
    except UnusableKeyError:
        return False


def _require_usable(backend: SecretsManagerBackend, keys: Sequence[str], failure: str) -> None:
    """Raise the error that Secrets Manager names `failure` where none of the keys can be used."""
    if any(is_usable(key, backend.region_name) for key in keys):
        return
    try:
        usable_key(keys[-1], backend.region_name)
    except UnusableKeyError as error:
        raise JsonRESTError(failure, str(error)) from error
