"""The trust store: the public keys whose tokens an instance accepts, and their limits, in Secrets Manager."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.core.names import key_limits_secret, public_keys_secret
from components.core.public_keys import flat_key_set
from components.core.resource_names import TRUST_STORE_TYPE
from components.core.scopes import KeyLimits, key_limits_set
from components.shared.options import child

# The plugin never takes a key off a secret (hashicorp/terraform-provider-aws#21623), so the update replaces the secret. The
# old one goes first, because both have the same name.
BACK_TO_THE_DEFAULT = pulumi.ResourceOptions(replace_on_changes=["kmsKeyId"], delete_before_replace=True)


@dataclass(frozen=True, kw_only=True)
class TrustStoreArgs:
    """The keys of an instance: `public_keys` maps key ids to PEM texts, `limits` to the limits of the key's tokens.

    `kms_key` is the ARN of the key that encrypts the secrets, None for that of Secrets Manager.
    """

    instance: str
    public_keys: Mapping[str, str]
    limits: Mapping[str, KeyLimits]
    tags: Mapping[str, str]
    kms_key: str | None = None


class TrustStore(pulumi.ComponentResource):
    """Two secrets and their current versions: the flat key set in the first Opstrace's form, and the limits beside it."""

    secret_arn: pulumi.Output[str]
    limits_secret_arn: pulumi.Output[str]

    def __init__(self, name: str, args: TrustStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(TRUST_STORE_TYPE, name, None, opts)
        self._tags, self._kms_key = dict(args.tags), args.kms_key
        self.secret_arn = self._secret(
            name,
            public_keys_secret(args.instance),
            "Public keys that verify tenant API tokens: a flat JSON object, key id to PEM.",
            flat_key_set(args.public_keys),
        )
        self.limits_secret_arn = self._secret(
            f"{name}-limits",
            key_limits_secret(args.instance),
            "What the tokens of limited keys may be for: a JSON object, key id to tenants, scopes, notAfter.",
            key_limits_set(args.limits),
        )
        self.register_outputs({"secret_arn": self.secret_arn, "limits_secret_arn": self.limits_secret_arn})

    def _secret(self, name: str, physical_name: str, description: str, content: str) -> pulumi.Output[str]:
        """Declare a secret with its version; return its ARN."""
        secret = aws.secretsmanager.Secret(
            f"{name}-secret",
            name=physical_name,
            description=description,
            # The stack's configuration holds the content too, so nothing is lost, and the name is free at once.
            recovery_window_in_days=0,
            kms_key_id=self._kms_key,
            tags=self._tags,
            opts=child(self, more=None if self._kms_key else BACK_TO_THE_DEFAULT),
        )
        aws.secretsmanager.SecretVersion(
            f"{name}-version",
            secret_id=secret.id,
            secret_string=content,
            # The default, set explicitly: a refresh then shows if somebody makes another version current.
            version_stages=["AWSCURRENT"],
            opts=child(self),
        )
        return secret.arn
