"""Tenant API tokens: their grants and signatures. Signing needs neither cloud nor network."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from components.core.errors import UserError
from components.core.names import (
    SYSTEM,
    duplicates,
    instance_name_problem,
    tenant_name_problem,
    token_audience,
    token_subject,
)
from components.core.public_keys import TOKEN_ISSUER, key_id
from components.core.scopes import Scope, scope_claim
from components.core.units import TOKEN_YEAR


def _now() -> int:
    return int(time.time())


def _new_id() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True, kw_only=True)
class Grant:
    """The grant of one token. Times are in seconds since the epoch; `seconds` is the lifetime after `issued`.

    `scopes` None allows everything; the token then has no `scope`, like those of the original. `name` stands in the
    ledger alone.
    """

    instance: str
    tenant: str
    seconds: int = TOKEN_YEAR
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
    """A private key and its id."""

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


NAME_LENGTH = 100


def check_names(instance: str, tenants: Sequence[str], name: str | None) -> None:
    """Raise `UserError` with every problem of the names."""
    problems = [instance_name_problem(instance)]
    problems += [tenant_name_problem(tenant) for tenant in tenants if tenant != SYSTEM]
    repeated = duplicates(tenants)
    problems += [f"tenant given more than once: {', '.join(repeated)}"] if repeated else []
    if name is not None and not (0 < len(name) <= NAME_LENGTH and name.isprintable()):
        problems.append(f"--name {name!r}: must have 1 to {NAME_LENGTH} characters that can be printed")
    if any(problems):
        raise UserError("; ".join(filter(None, problems)))
