"""Public keys without private keys, to fill a trust store."""

import random

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from components.core.public_keys import MINIMUM_BITS, canonical_pem, key_id


def placeholder_keys(count: int) -> dict[str, str]:
    """Return `count` public keys of the usual size, key id to PEM; their moduli are any odd numbers."""
    keys = {}
    for number in range(count):
        modulus = random.Random(number).getrandbits(MINIMUM_BITS) | 1 | 1 << (MINIMUM_BITS - 1)
        key = RSAPublicNumbers(65537, modulus).public_key()
        keys[key_id(key)] = canonical_pem(key)
    return keys
