"""Tenant API tokens: what one grants, and signing it. It needs no cloud and no network."""

import time
import uuid
from dataclasses import dataclass, field

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from components.access import Scope, scope_claim
from components.keys import TOKEN_ISSUER, key_id
from components.names import token_audience, token_subject
from scripts.durations import YEAR


def _now() -> int:
    return int(time.time())


def _new_id() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True)
class Grant:
    """What one token allows. Times are in seconds since the epoch, `seconds` is its life from `issued` on.

    `scopes` None: everything, and the token has no `scope`, as the original's. `name` is for the ledger alone.
    """

    instance: str
    tenant: str
    seconds: int = YEAR
    scopes: tuple[Scope, ...] | None = None
    not_before: int | None = None
    name: str | None = None
    issued: int = field(default_factory=_now)
    id: str = field(default_factory=_new_id)

    @property
    def expires(self) -> int:
        """The `exp` claim."""
        return self.issued + self.seconds


class Signer:
    """A private key with its id, which is computed once."""

    def __init__(self, key: RSAPrivateKey) -> None:
        self._key = key
        self.kid = key_id(key.public_key())

    def token(self, grant: Grant) -> str:
        """Return a tenant API token: a JWT signed with RS256 (RFC 7519)."""
        claims: dict[str, str | int] = {
            "iat": grant.issued,
            "exp": grant.expires,
            "aud": token_audience(grant.instance),
            "iss": TOKEN_ISSUER,
            "sub": token_subject(grant.tenant),
            "jti": grant.id,
        }
        if grant.not_before is not None:
            claims["nbf"] = grant.not_before
        if grant.scopes is not None:
            claims["scope"] = scope_claim(grant.scopes)
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self.kid})
