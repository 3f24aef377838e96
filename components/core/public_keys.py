"""Public keys: how they are read, their ids, and the two forms in which an instance stores them."""

import hashlib
import json
import re
from collections.abc import Mapping

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from jwt.algorithms import RSAAlgorithm  # 15 ms of the 230 ms that the program's imports take

from components.core.errors import KeyFileError
from components.core.key_forms import NEW_KEY, form_of

MINIMUM_BITS, MAXIMUM_BITS = 2048, 4096  # verifying a longer key costs the gateway too much time
PUBLIC_EXPONENT = 65537
EXPONENTS = (3, PUBLIC_EXPONENT)  # Envoy's jwt_verify_lib drops keys with any other exponent (google/jwt_verify_lib#96)
LEADING_ZERO = re.compile("A[A-P]")  # a modulus that starts with a byte of 0; Envoy drops it
BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
TOKEN_ISSUER = "opstrace-cli"  # the `iss` claim of every tenant API token
SECRET_BYTES = 65536  # AWS Secrets Manager user guide, 'Quotas': a secret value holds 64 KiB


def public_key(pem: str) -> RSAPublicKey:
    """Return the RSA public key in a PEM text.

    Raises:
        KeyFileError: The text is no PEM, or has more than one key or a private one. Or the key is not RSA, or has a
            size that is refused.
    """
    if "PRIVATE KEY" in pem or pem.count("-----BEGIN") > 1:
        raise KeyFileError("expected one public key in PEM form and nothing else; never put a private key here")
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        form = form_of(pem.encode())
        told = f": it is {form.what}; {form.public}" if form else ""
        raise KeyFileError(f"not a public key in PEM form (-----BEGIN PUBLIC KEY-----){told}") from error
    if not isinstance(key, RSAPublicKey):
        kind = type(key).__name__.strip("_")
        raise KeyFileError(f"{kind}: use an RSA key, because tokens are signed with RS256")
    problem = key_problem(key)
    if problem:
        raise KeyFileError(problem)
    return key


def key_problem(key: RSAPublicKey) -> str | None:
    """Return why an RSA key is refused, None where the gateway can use it."""
    bits = key.key_size
    if bits < MINIMUM_BITS:
        return f"an RSA key of {bits} bits: use at least {MINIMUM_BITS} bits, which RS256 requires (RFC 7518, 3.3)"
    if bits > MAXIMUM_BITS:
        return f"an RSA key of {bits} bits: use at most {MAXIMUM_BITS} bits, because a longer key slows every request"
    return _envoy_problem(key)


def _envoy_problem(key: RSAPublicKey) -> str | None:
    """Return why Envoy drops a key of a set, None where it uses the key."""
    numbers = key.public_numbers()
    if numbers.e not in EXPONENTS:
        usable = " or ".join(map(str, EXPONENTS))
        return f"an RSA key with the public exponent {numbers.e}, but the gateway takes only {usable}; {NEW_KEY}"
    if numbers.n % 2 == 0:
        return f"an RSA key with an even modulus, which no key pair has; {NEW_KEY}"
    return None


def canonical_pem(key: RSAPublicKey) -> str:
    """Return the key as SPKI PEM text, without white space at its ends."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode().strip()


def key_id(key: RSAPublicKey) -> str:
    """Return the key's id: the SHA-1 digest of `canonical_pem`, in hex. The original computes the same `kid`."""
    return hashlib.sha1(canonical_pem(key).encode(), usedforsecurity=False).hexdigest()


def _json_web_key(kid: str, key: RSAPublicKey) -> dict[str, str]:
    """Return a key as RFC 7517 and RFC 7518 write it."""
    members = RSAAlgorithm.to_jwk(key, as_dict=True)
    return OF_EVERY_KEY | {"kid": kid, "n": members["n"], "e": members["e"]}


def _key_without_holder() -> RSAPublicKey:
    """Return a key of 2,048 bits whose modulus is a hash, so that nobody knows its factors, the private key."""
    digest = hashlib.shake_256(b"opstrace: no key is trusted").digest(MINIMUM_BITS // 8)
    modulus = int.from_bytes(digest, "big") | 1 | 1 << (MINIMUM_BITS - 1)
    return RSAPublicNumbers(PUBLIC_EXPONENT, modulus).public_key()


# Without `alg` and `use`, Envoy would accept RS512 and PS256 too.
OF_EVERY_KEY = {"kty": "RSA", "use": "sig", "alg": "RS256"}
NOBODY = _json_web_key("nobody", _key_without_holder())


def json_web_key_set(keys: Mapping[str, str]) -> dict[str, list[dict[str, str]]]:
    """Return the keys, PEM texts by key id, as a JSON Web Key Set (RFC 7517).

    The last one is a key that nobody holds. Envoy rejects a set without any valid key: it would keep its previous keys, and
    a new pod would have none and not start.
    """
    return {"keys": [*(_json_web_key(kid, public_key(pem)) for kid, pem in sorted(keys.items())), NOBODY]}


def is_sound(key: Mapping[str, str]) -> bool:
    """Tell whether Envoy uses an entry of a JSON Web Key Set.

    The entry must have the form of `json_web_key_set`, the id of its own key, and a key that the gateway can use.
    """
    if key == NOBODY:
        return True
    try:
        modulus, exponent = key["n"], key["e"]
        if not (BASE64URL.fullmatch(modulus) and BASE64URL.fullmatch(exponent)):  # the library skips other characters
            return False
        public = RSAAlgorithm.from_jwk({"kty": "RSA", "n": modulus, "e": exponent})
        if not isinstance(public, RSAPublicKey) or _envoy_problem(public) or LEADING_ZERO.match(modulus):
            return False
        return key == OF_EVERY_KEY | {"kid": key_id(public), "n": modulus, "e": exponent}
    except (ValueError, LookupError, TypeError):
        return False


def flat_key_set(keys: Mapping[str, str]) -> str:
    """Return the keys, PEM texts by key id, as the JSON text in Secrets Manager."""
    return json.dumps({kid: canonical_pem(public_key(pem)) for kid, pem in sorted(keys.items())}, separators=(",", ":"))
