"""Keys that are only there: nothing is signed with them."""

import random

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from components.keys import MINIMUM_BITS, canonical_pem, key_id


def made_up_keys(count: int) -> dict[str, str]:
    """Return so many public keys of the usual size, kid to PEM; any odd number of the size does for one."""
    keys = {}
    for number in range(count):
        modulus = random.Random(number).getrandbits(MINIMUM_BITS) | 1 | 1 << (MINIMUM_BITS - 1)
        key = RSAPublicNumbers(65537, modulus).public_key()
        keys[key_id(key)] = canonical_pem(key)
    return keys
