"""The trust store: the public keys whose tokens an instance accepts, and for what, in Secrets Manager."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.access import KeyLimits, key_limits_set
from components.keys import flat_key_set
from components.names import key_limits_secret, public_keys_secret
from components.options import child


@dataclass(frozen=True)
class TrustStoreArgs:
    """`public_keys` maps a key id to PEM text, `limits` to what the key's tokens may be for."""

    instance: str
    public_keys: Mapping[str, str]
    limits: Mapping[str, KeyLimits]
    tags: Mapping[str, str]


class TrustStore(pulumi.ComponentResource):
    """Two secrets and their present versions: the flat key set, as it always was, and the limits beside it."""

    secret_arn: pulumi.Output[str]
    limits_secret_arn: pulumi.Output[str]

    def __init__(self, name: str, args: TrustStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("opstrace:trust_store:TrustStore", name, None, opts)
        self._tags = dict(args.tags)
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
        """Make a secret with its version; return its ARN."""
        secret = aws.secretsmanager.Secret(
            f"{name}-secret",
            name=physical_name,
            description=description,
            # What it holds stands in the stack's configuration too: nothing is lost, and the name is free at once.
            recovery_window_in_days=0,
            tags=self._tags,
            opts=child(self),
        )
        aws.secretsmanager.SecretVersion(
            f"{name}-version",
            secret_id=secret.id,
            secret_string=content,
            # Said, not only so by default: it shows when somebody puts another version in its place.
            version_stages=["AWSCURRENT"],
            opts=child(self),
        )
        return secret.arn
