"""The trust store: the public keys whose tokens an instance accepts, in Secrets Manager."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.keys import flat_key_set
from components.names import public_keys_secret
from components.options import child


@dataclass(frozen=True)
class TrustStoreArgs:
    """`public_keys` maps a key id to PEM text."""

    instance: str
    public_keys: Mapping[str, str]
    tags: Mapping[str, str]


class TrustStore(pulumi.ComponentResource):
    """The secret and its present version."""

    secret_arn: pulumi.Output[str]

    def __init__(self, name: str, args: TrustStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("opstrace:trust_store:TrustStore", name, None, opts)
        secret = aws.secretsmanager.Secret(
            f"{name}-secret",
            name=public_keys_secret(args.instance),
            description="Public keys that verify tenant API tokens: a flat JSON object, key id to PEM.",
            # Public keys stand in the stack's configuration too: nothing is lost, and the name is free at once.
            recovery_window_in_days=0,
            tags=dict(args.tags),
            opts=child(self),
        )
        aws.secretsmanager.SecretVersion(
            f"{name}-version",
            secret_id=secret.id,
            secret_string=flat_key_set(args.public_keys),
            # Said, not only so by default: it shows when somebody puts another version in its place.
            version_stages=["AWSCURRENT"],
            opts=child(self),
        )
        self.secret_arn = secret.arn
        self.register_outputs({"secret_arn": self.secret_arn})
