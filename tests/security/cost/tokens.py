"""Requests for a flood, with the same or with different tokens."""

import base64
import itertools
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.security.cost.http1 import request

SIGNATURE_BYTES = 256  # of an RSA key of 2,048 bits
SYMBOLS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
SCHEME = "Bearer "


def encoded(data: bytes) -> str:
    """Return `data` in base64 as in a JWT."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unsigned(header: Mapping[str, Any] | str, claims: Mapping[str, Any]) -> str:
    """Return a well-formed token with an invalid signature."""
    head = header if isinstance(header, str) else json.dumps(header)
    return f"{encoded(head.encode())}.{encoded(json.dumps(claims).encode())}.{encoded(b'x' * SIGNATURE_BYTES)}"


def good_claims(tenant: str) -> dict[str, Any]:
    """Return the claims of a token of the instance `showdown`."""
    now = int(time.time())
    common = {"iss": "opstrace-cli", "aud": "opstrace-cluster-showdown", "iat": now, "exp": now + 3600}
    return common | {"sub": f"tenant-{tenant}"}


def _padded(kid: str, tenant: str, number: int, length: int) -> tuple[str, str]:
    """Return encoded header and claims of a token that has `length` characters with its scheme and signature."""
    head = encoded(json.dumps({"alg": "RS256", "kid": kid, "typ": "JWT"}).encode())
    left = length - len(SCHEME) - len(head) - len(encoded(b"x" * SIGNATURE_BYTES)) - 2
    claims = json.dumps(good_claims(tenant) | {"jti": f"token-{number:08}", "pad": ""})[:-2]
    characters = left * 3 // 4 - len(claims) - 2
    return head, encoded(f'{claims}{"x" * characters}"}}'.encode())


def junk(kid: str, tenant: str, length: int) -> Iterator[str]:
    """Return different tokens that look good but have invalid signatures."""
    head, claims = _padded(kid, tenant, 0, length)
    for number in itertools.count():
        yield f"{head}.{claims}.{encoded(number.to_bytes(SIGNATURE_BYTES))}"


def signed(key: str, kid: str, tenant: str, length: int, copies: int = 1) -> Iterator[str]:
    """Return different good tokens.

    Each occurs `copies` times, with other bits at the end of the signature that have no meaning.
    """
    private = load_pem_private_key(key.encode(), None)
    assert isinstance(private, RSAPrivateKey)
    for number in itertools.count():
        text = ".".join(_padded(kid, tenant, number, length))
        signature = encoded(private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))
        last = SYMBOLS.index(signature[-1])
        for other in range(copies):
            yield f"{text}.{signature[:-1]}{SYMBOLS[last + other]}"


def payloads(
    kind: str, targets: Sequence[Sequence[str]] = (), texts: Sequence[str] = (), **settings: Any
) -> Iterator[bytes]:
    """Return requests without end, over and over.

    They are the `fixed` ones, or requests to `targets` (host, path) in turn, each with another token.
    """
    if kind == "fixed":
        return itertools.cycle([base64.b64decode(text) for text in texts])
    tokens = junk(**settings) if kind == "junk" else signed(**settings)
    pairs = zip(tokens, itertools.cycle(targets))
    return (request(host, path, f"{SCHEME}{token}") for token, (host, path) in pairs)
