"""Tokens that differ in one respect from a good one of the tenant `default`."""

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from jwt.algorithms import get_default_algorithms

from components.core.names import token_audience
from components.core.public_keys import canonical_pem, key_id
from tests.support.user_session import INSTANCE

OMITTED: Any = None  # the value of a claim or header that the token does not have
NULL: Any = object()  # the value of one that is null in JSON
Signer = Literal["trusted", "stranger", "limited"]
REVOKED = "revoked-by-the-hostile-tests"


@dataclass(frozen=True)
class At:
    """An instant as a claim, in seconds from now."""

    seconds: float
    form: type = int


@dataclass(frozen=True)
class Forgery:
    """How a token differs from a good one.

    `more_claims` and `more_headers` are JSON members that are appended as they are, for names that occur twice.
    `signature` replaces the right signature. `by` names the key of `Keys` that signs. `kid_of` names the key whose id
    is in the header; by default a stranger's token has the trusted key's id.
    """

    claims: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, Any] = field(default_factory=dict)
    algorithm: str = "RS256"
    by: Signer = "trusted"
    kid_of: Signer | None = None
    more_claims: str = ""
    more_headers: str = ""
    signature: bytes | None = None


@dataclass(frozen=True)
class Keys:
    """The signing keys; the instance trusts `trusted`, and `limited` for logs of `default` alone."""

    trusted: RSAPrivateKey
    limited: RSAPrivateKey
    stranger: RSAPrivateKey

    def token(self, forgery: Forgery) -> str:
        """Return the token that `forgery` describes."""
        now = int(time.time())
        claimed = getattr(self, forgery.kid_of or ("trusted" if forgery.by == "stranger" else forgery.by))
        good = {"iat": now, "exp": now + 600, "aud": token_audience(INSTANCE), "iss": "opstrace-cli"}
        claims = _json({**good, "sub": "tenant-default", **forgery.claims}, now, forgery.more_claims)
        header = {"typ": "JWT", "alg": forgery.algorithm, "kid": key_id(claimed.public_key())}
        head = _json({**header, **forgery.headers}, now, forgery.more_headers)
        text = f"{encoded(head)}.{encoded(claims)}"
        signature = self._signature(forgery, text.encode()) if forgery.signature is None else forgery.signature
        return f"{text}.{encoded(signature)}"

    def _signature(self, forgery: Forgery, text: bytes) -> bytes:
        key: Any = getattr(self, forgery.by)
        if forgery.algorithm.startswith("HS"):
            key = canonical_pem(key.public_key()).encode()
        elif forgery.algorithm.startswith("ES"):
            key = ec.generate_private_key(ec.SECP256R1())
        elif forgery.algorithm == "EdDSA":
            key = ed25519.Ed25519PrivateKey.generate()
        algorithms = get_default_algorithms()
        return algorithms.get(forgery.algorithm, algorithms["RS256"]).sign(text, key)


def encoded(data: bytes) -> str:
    """Return `data` in base64 as in a JWT."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _json(members: Mapping[str, Any], now: int, more: str) -> bytes:
    def json_value(value: Any) -> Any:
        if isinstance(value, At):
            return value.form(now + value.seconds)
        return None if value is NULL else value

    text = json.dumps({name: json_value(value) for name, value in members.items() if value is not OMITTED})
    return (f"{text[:-1]}, {more}}}" if more else text).encode()
