"""Keys of a set: their form, compared with a plain implementation of RFC 7518, and the sizes that a gateway accepts."""

import base64
import hashlib
import json
import re
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from components.core.errors import KeyFileError
from components.core.public_keys import NOBODY, canonical_pem, is_sound, json_web_key_set, key_id, public_key
from tests.support.placeholder_keys import placeholder_keys

COMMON = {"kty": "RSA", "use": "sig", "alg": "RS256"}


def unsigned(number: int) -> str:
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def number_of(text: str) -> int:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", text):
        raise ValueError("not base64url")
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


def is_sound_by_hand(key: dict[str, Any]) -> bool:
    try:
        numbers = rsa.RSAPublicNumbers(number_of(key["e"]), number_of(key["n"]))
        used = numbers.e in (3, 65537) and numbers.n % 2 == 1 and not re.match("A[A-P]", key["n"])
        return used and key == COMMON | {"kid": key_id(numbers.public_key()), "n": key["n"], "e": key["e"]}
    except (ValueError, LookupError, TypeError):
        return False


@st.composite
def public_keys(draw: st.DrawFn) -> rsa.RSAPublicKey:
    """Any odd number of the size can be the modulus of a public key."""
    bits = draw(st.sampled_from([2048, 2049, 3072, 4095, 4096]))
    modulus = draw(st.integers(1 << (bits - 1), (1 << bits) - 1)) | 1
    exponent = draw(st.sampled_from([3, 65537]))
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


@given(public_keys())
def test_a_key_of_a_set_is_as_rfc_7518_writes_it(key: rsa.RSAPublicKey) -> None:
    numbers, kid = key.public_numbers(), key_id(key)
    wanted = COMMON | {"kid": kid, "n": unsigned(numbers.n), "e": unsigned(numbers.e)}
    found = json_web_key_set({kid: canonical_pem(key)})
    # in this order: the text is a part of Envoy's file
    assert json.dumps(found) == json.dumps({"keys": [wanted, NOBODY]})
    assert is_sound(wanted) and public_key(canonical_pem(key)).public_numbers() == numbers


def test_the_key_that_nobody_holds_is_the_last_one_of_each_set() -> None:
    assert json_web_key_set(placeholder_keys(2))["keys"][2:] == [NOBODY]
    assert json_web_key_set({}) == {"keys": [NOBODY]} and is_sound(NOBODY)
    assert [*NOBODY] == ["kty", "use", "alg", "kid", "n", "e"]
    assert (NOBODY["kid"], NOBODY["e"], len(NOBODY["n"])) == ("nobody", "AQAB", 342)
    assert hashlib.sha256(NOBODY["n"].encode()).hexdigest().startswith("d341c6d16f7086e1")  # gateways that run have it


((KID, PEM),) = placeholder_keys(1).items()
SOUND = json_web_key_set({KID: PEM})["keys"][0]
VALUES = (
    st.none()
    | st.integers()
    | st.lists(st.text(max_size=2), max_size=1)
    | st.text(max_size=8)
    | st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True)
    | st.sampled_from(
        [SOUND["n"], f"AA{SOUND['n']}", f"{SOUND['n']}=", f"{SOUND['n']}\n", f"+{SOUND['n']}", "AAEAAQ", "AQAB"]
    )
)


@given(
    st.dictionaries(st.sampled_from(["kty", "use", "alg", "kid", "n", "e", "d", "x5c"]), VALUES),
    st.sets(st.sampled_from([*SOUND])),
)
def test_only_a_key_under_its_own_id_is_sound(changed: dict[str, Any], absent: set[str]) -> None:
    key = {name: value for name, value in (SOUND | changed).items() if name not in absent}
    assert is_sound(key) == is_sound_by_hand(key)


@pytest.mark.parametrize(
    ("change", "sound"),
    [({}, True), ({"e": "AAEAAQ"}, True), ({"n": f"{SOUND['n']}\n"}, False), ({"n": 1}, False), ({"d": "AQAB"}, False)],
)
def test_of_another_spelling_the_number_counts(change: dict[str, Any], sound: bool) -> None:
    assert is_sound(SOUND | change) is sound is is_sound_by_hand(SOUND | change)


def test_a_key_that_cannot_sign_rs256_is_refused_with_the_remedy() -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    text = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(KeyFileError, match="use an RSA key"):
        public_key(text)
    small = rsa.RSAPublicNumbers(65537, (1 << 1023) + 1).public_key()
    with pytest.raises(KeyFileError, match="1024 bits: use at least 2048 bits"):
        public_key(canonical_pem(small))


def of_exponent(exponent: int, odd: int = 1) -> rsa.RSAPublicKey:
    return rsa.RSAPublicNumbers(exponent, (1 << 2047) + odd).public_key()


@pytest.mark.parametrize("exponent", [17, 37, 65535, 65539, 2**31 + 1])
def test_a_key_that_envoy_drops_is_refused_with_the_command_that_makes_a_good_one(exponent: int) -> None:
    key = of_exponent(exponent)
    told = rf"exponent {exponent}, but the gateway takes only 3 or 65537; .*`./opstrace ta-create-keypair FILE`"
    with pytest.raises(KeyFileError, match=told):
        public_key(canonical_pem(key))
    assert not is_sound(COMMON | {"kid": key_id(key), "n": unsigned(key.public_numbers().n), "e": unsigned(exponent)})


def test_a_key_with_an_even_modulus_is_refused() -> None:
    with pytest.raises(KeyFileError, match="even modulus"):
        public_key(canonical_pem(of_exponent(65537, odd=0)))
