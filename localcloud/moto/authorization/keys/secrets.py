"""Use of KMS keys by Secrets Manager: whoever stores or reads a value of a secret needs a permission for the secret's key.

Sources: 'Secret encryption and decryption in AWS Secrets Manager' (its user guide); its API reference, UpdateSecret.
"""

from collections.abc import Callable, Iterator
from typing import Any

from moto.core.request import Request
from moto.kms.models import Key
from moto.secretsmanager.models import SecretsManagerBackend
from moto.secretsmanager.responses import SecretsManagerResponse

from localcloud.moto.authorization.identities import caller_of
from localcloud.moto.authorization.keys.policies import may_use
from localcloud.moto.kms_keys import KEYS, is_usable, key_named, keys_of_version

DECRYPT, ENCRYPT, GENERATE = "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"
CURRENT = "AWSCURRENT"


def context_of(region: str, secret: str) -> dict[str, str]:
    """Return the condition keys of Secrets Manager's requests to KMS; `secret` is an ARN."""
    return {"kms:ViaService": f"secretsmanager.{region}.amazonaws.com", "kms:EncryptionContext:SecretARN": secret}


def uses(operation: str, parameters: Any, secret: Any, region: str) -> Iterator[tuple[str, str]]:
    """Yield the actions of KMS that an operation needs, each with the ARN of a key. `secret` is moto's, None for a new one."""
    if operation in ("CreateSecret", "PutSecretValue", "UpdateSecret"):
        stores = operation == "PutSecretValue" or parameters["SecretString"] or parameters["KmsKeyId"]
        named = parameters["KmsKeyId"] or getattr(secret, "kms_key_id", None)
        actions = [GENERATE, DECRYPT] if stores else []
    else:
        named = _key_to_read(parameters, secret, region) if operation == "GetSecretValue" and secret else None
        actions = [DECRYPT]
    if key := _limited_key(named, region):
        yield from ((action, str(key.arn)) for action in actions)


def _limited_key(name: str | None, region: str) -> Key | None:
    """Return a key whose use needs a permission. AWS's own for Secrets Manager permits it to everybody in the account."""
    return key_named(name, region) if name and name != SecretsManagerBackend.DEFAULT_KMS_KEY_ALIAS else None


def _key_to_read(parameters: Any, secret: Any, region: str) -> str | None:
    """Return the latest usable key that decrypts the requested version, None where there is none."""
    stage = parameters["VersionStage"] or CURRENT
    wanted = parameters["VersionId"] or next(
        (identity for identity, entry in secret.versions.items() if stage in entry["version_stages"]), None
    )
    version = secret.versions.get(wanted)
    keys = keys_of_version(secret, version) if version else []
    return next((key for key in reversed(keys) if is_usable(key, region)), None)


def encrypting_again(update: Any, is_limited: Callable[[Request], bool]) -> Any:
    """Wrap UpdateSecret: after a change of the key, values stay as they are if the caller may not encrypt them again.

    That needs `kms:Decrypt` for the former key and `kms:Encrypt` for the new one. AWS changes the key all the same.
    """

    def update_secret(response: SecretsManagerResponse) -> Any:
        secret: Any = response.backend.secrets.get(response._get_param("SecretId"))
        before = {name: keys_of_version(secret, entry) for name, entry in secret.versions.items()} if secret else {}
        answer = update(response)
        if is_limited(response.normalized_request):
            for identity, keys in before.items():
                version = secret.versions.get(identity, {})
                if version.get(KEYS, keys) != keys and not _may_encrypt_again(response, secret, version[KEYS]):
                    version[KEYS] = keys
        return answer

    return update_secret


def _may_encrypt_again(response: SecretsManagerResponse, secret: Any, keys: list[str]) -> bool:
    """Tell whether the caller may encrypt a version again; `keys` end with the former key and the new one."""
    caller, context = caller_of(response), context_of(response.region, secret.arn)
    pairs = zip((DECRYPT, ENCRYPT), (_limited_key(key, response.region) for key in keys[-2:]), strict=True)
    return all(key is None or may_use(caller, action, key, context) for action, key in pairs)
