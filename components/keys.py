"""Public keys: reading them, their ids, and the two forms in which an instance holds them."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from components.errors import KeyFileError

MINIMUM_BITS, MAXIMUM_BITS = 2048, 4096  # beyond, a request costs the gateway more than it should
TOKEN_ISSUER = "opstrace-cli"  # the `iss` claim of every tenant API token
SECRET_BYTES = 65536  # AWS Secrets Manager user guide, 'Quotas': a secret value holds 64 KiB


def public_key(pem: str) -> RSAPublicKey:
    """Return the RSA public key in `pem`; raises `KeyFileError` with what is wrong with it."""
    if "PRIVATE KEY" in pem or pem.count("-----BEGIN") > 1:
        raise KeyFileError("more than one public key in PEM form; a private key must never come here")
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError("not a public key in PEM form (-----BEGIN PUBLIC KEY-----)") from error
    if not isinstance(key, RSAPublicKey):
        raise KeyFileError(f"a {type(key).__name__.strip('_')}, but only RSA keys can sign RS256 tokens")
    problem = key_size_problem(key.key_size)
    if problem:
        raise KeyFileError(problem)
    return key


def key_size_problem(bits: int) -> str | None:
    """Return why an RSA key of so many bits cannot be used, or None."""
    if bits < MINIMUM_BITS:
        return f"an RSA key of {bits} bits, but RS256 needs {MINIMUM_BITS} at least (RFC 7518, 3.3)"
    if bits > MAXIMUM_BITS:
        return f"an RSA key of {bits} bits, but {MAXIMUM_BITS} are the most: every request would wait for it"
    return None


def canonical_pem(key: RSAPublicKey) -> str:
    """Return the key as SPKI PEM text, trimmed at both ends."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode().strip()


def key_id(key: RSAPublicKey) -> str:
    """Return the `kid`: SHA-1, in hex, of the SPKI PEM text trimmed of white space, as the original computed it."""
    return hashlib.sha1(canonical_pem(key).encode(), usedforsecurity=False).hexdigest()


def _unsigned(number: int) -> str:
    """Return `number` as RFC 7518 wants it: base64url of the big-endian bytes, without padding."""
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _number(text: str) -> int:
    """Return what `_unsigned` made this text of; raises `ValueError` for what is none of its texts."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", text):
        raise ValueError("not base64url")
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


def _nobody() -> str:
    """Return a modulus of 2,048 bits that came out of a hash: its factors, the private key, are known to nobody."""
    digest = hashlib.shake_256(b"opstrace: no key is trusted").digest(MINIMUM_BITS // 8)
    return _unsigned(int.from_bytes(digest, "big") | 1 | 1 << (MINIMUM_BITS - 1))


OF_EVERY_KEY = {"kty": "RSA", "use": "sig", "alg": "RS256"}
NOBODY = OF_EVERY_KEY | {"kid": "nobody", "n": _nobody(), "e": "AQAB"}


def json_web_key_set(keys: Mapping[str, str]) -> dict[str, list[dict[str, str]]]:
    """Return kid to PEM as a JSON Web Key Set (RFC 7517).

    Every key names its `alg` and `use`: without these Envoy takes RS512 and PS256 as well.
    Of no keys it is a set with one that nobody holds: Envoy refuses an empty set, and would keep the keys it has.
    """
    if not keys:
        return {"keys": [NOBODY]}
    entries = []
    for kid, pem in sorted(keys.items()):
        numbers = public_key(pem).public_numbers()
        entries.append(OF_EVERY_KEY | {"kid": kid, "n": _unsigned(numbers.n), "e": _unsigned(numbers.e)})
    return {"keys": entries}


def is_sound(key: Mapping[str, str]) -> bool:
    """Tell whether an entry of a JSON Web Key Set is as `json_web_key_set` makes them: the key that its id says."""
    if key == NOBODY:
        return True
    try:
        numbers = RSAPublicNumbers(_number(key["e"]), _number(key["n"]))
        return key == OF_EVERY_KEY | {"kid": key_id(numbers.public_key()), "n": key["n"], "e": key["e"]}
    except (ValueError, LookupError, TypeError):
        return False


def flat_key_set(keys: Mapping[str, str]) -> str:
    """Return kid to PEM as the JSON text that Secrets Manager holds."""
    return json.dumps({kid: canonical_pem(public_key(pem)) for kid, pem in sorted(keys.items())}, separators=(",", ":"))
