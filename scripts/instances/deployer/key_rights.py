"""The rights of an instance's deployer on keys of KMS.

Source: 'Secret encryption and decryption in AWS Secrets Manager' (its user guide).
"""

from collections.abc import Iterator

from components.core.names import secret_prefix
from scripts.instances.deployer.rights import Right, Scope


def keys(scope: Scope) -> list[Right]:
    """Return the rights on the keys of KMS, none where AWS's own keys encrypt."""
    every = dict.fromkeys(filter(None, [*scope.bucket_keys, scope.secrets_key]))
    found = [Right("Keys", "Looks at the keys of buckets and secrets.", ("kms:DescribeKey",), tuple(every))]
    return (found if every else []) + ([*_keys_of_secrets(scope, scope.secrets_key)] if scope.secrets_key else [])


def _keys_of_secrets(scope: Scope, key: str) -> Iterator[Right]:
    """Yield the rights on the key of secrets, and on the keys that they had before: these are not in the stack file."""
    through = {"kms:ViaService": f"secretsmanager.{scope.region}.amazonaws.com"}
    own = {"kms:EncryptionContext:SecretARN": scope.arn("secretsmanager", f"secret:{secret_prefix(scope.instance)}*")}
    yield Right(
        "SecretsKey",
        "Encrypts the secrets with public keys, through Secrets Manager alone.",
        ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"),
        (key,),
        {"StringEquals": through},
    )
    yield Right(
        "FormerSecretsKeys",
        "Reads these secrets under a former key. Otherwise Secrets Manager would not encrypt them by a new one.",
        ("kms:Decrypt",),
        (f"arn:aws:kms:{scope.region}:*:key/*",),
        {"StringEquals": through, "StringLike": own},
    )
