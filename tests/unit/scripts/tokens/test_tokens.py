"""Keys, key files and tokens: tested by using them."""

import stat
from pathlib import Path

import jwt
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from components.core.errors import KeyFileError, TokenError, UserError
from components.core.public_keys import canonical_pem, json_web_key_set, key_id, public_key
from scripts.cli.tokens.create import ta_create_token
from scripts.tokens.key_files import new_key, read_key_pair, read_public_key, write_key_pair
from scripts.tokens.parse import token_in
from scripts.tokens.signing import Grant, Signer

KEY = new_key()
TOO_FEW_BITS = 1024


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, form: PrivateFormat) -> bytes:
    return key.private_bytes(Encoding.PEM, form, NoEncryption())


def test_a_key_pair_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "pair.pem"
    write_key_pair(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key_pair(path).key_size == 2048


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "pair.pem"
    path.write_text("precious")
    with pytest.raises(KeyFileError, match="exists already"):
        write_key_pair(path)
    assert path.read_text() == "precious"


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_both_forms_of_a_private_key_are_read(tmp_path: Path, form: PrivateFormat) -> None:
    path = tmp_path / "pair.pem"
    path.write_bytes(_pem(KEY, form))
    assert read_key_pair(path).private_numbers() == KEY.private_numbers()
    assert key_id(read_public_key(path)) == key_id(KEY.public_key())


def test_bad_key_files_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "pair.pem"
    with pytest.raises(KeyFileError, match=f"No such file.*check the path, or .*ta-create-keypair {path}`"):
        read_key_pair(path)
    for content, reason in [
        (b"nonsense", "no private key in PEM form"),
        (_pem(ec.generate_private_key(ec.SECP256R1()), PrivateFormat.PKCS8), "only RSA keys"),
        (_pem(rsa.generate_private_key(65537, TOO_FEW_BITS), PrivateFormat.PKCS8), "1024 bits"),
    ]:
        path.write_bytes(content)
        with pytest.raises(KeyFileError, match=reason):
            read_key_pair(path)


def test_a_token_verifies_with_the_key_set_and_carries_the_claims() -> None:
    token = Signer(KEY).token(Grant(instance="showdown", tenant="default"))
    keys = json_web_key_set({key_id(KEY.public_key()): canonical_pem(KEY.public_key())})
    header = jwt.get_unverified_header(token)
    assert header == {"alg": "RS256", "typ": "JWT", "kid": key_id(KEY.public_key())}
    jwk = jwt.PyJWKSet.from_dict(keys)[header["kid"]]
    claims = jwt.decode(token, jwk, algorithms=["RS256"], audience="opstrace-cluster-showdown", issuer="opstrace-cli")
    assert claims["sub"] == "tenant-default"
    assert claims["exp"] - claims["iat"] == 31_557_600


def test_the_command_prints_the_token_without_a_newline(tmp_path: Path) -> None:
    path = tmp_path / "pair.pem"
    write_key_pair(path)
    done = CliRunner().invoke(ta_create_token, ["showdown", "default", str(path)])
    assert done.exit_code == 0
    assert done.stdout.count(".") == 2 and not done.stdout.endswith("\n")


def test_the_command_refuses_bad_names(tmp_path: Path) -> None:
    done = CliRunner().invoke(ta_create_token, ["Show", "UP", str(tmp_path / "none.pem")])
    assert isinstance(done.exception, UserError)
    assert "'Show'" in str(done.exception) and "'UP'" in str(done.exception)


@given(st.text())
def test_the_key_reader_raises_nothing_but_its_own_error(text: str) -> None:
    with pytest.raises(KeyFileError):
        public_key(text)


def test_a_key_has_the_id_that_the_original_gave_it() -> None:
    # Made with OpenSSL: `openssl rsa -pubout`, then `printf %s "$(cat key.pem)" | sha1sum`, as the original's CLI does it.
    pem = """-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAoKO/RIqqeBmkEppyja/c
gSWCKAm2beUOSLSaIihL6CHLJwjIessBcQnHg+Rjw1Qr5BqvJ97KycETsgyc9Qz8
wGukbgQmdOSuD8qFLnsB4gm83il3KoCXteQ39jHp0hnmFxNNhHVwTkaI9rcjnv4X
O3dmR8+fw06rnI8bdCaqn5/sRjy/9AV6quu1lBthPHQBU/dVovS3MIugfOdTsvgC
SmzIJcUnLPsYT3BchVhtAIPzQlHV2hxs1aWxeFu4j9xa6X3fC6EMUp8Vm/0WDy6V
gRsr7Q/hB2hzh3zyQydBhNjy14Q00Ofo5XjbfpdpmeujhozYUTNVlizS26MOPaCY
iQIDAQAB
-----END PUBLIC KEY-----
"""
    assert (
        key_id(public_key(pem))
        == key_id(public_key(f"\n {pem.strip()} \n"))
        == "8ad8b15c6a2e1eaf244ab3c41b2530c348efb5e4"
    )


WRAPPED = {
    "\ufeff{}": "the byte order mark",
    '"{}"': "the quotes",
    "'{}'\n": "the quotes",
    "\u201c{}\u201d": "the quotes",
    "Bearer {}": "`Bearer`",
    "bearer\t{}\r\n": "`Bearer`",
    "Authorization: Bearer {}": "`Authorization:` before it and `Bearer`",
    '\ufeff"Bearer {}"': "the byte order mark (BOM) at its start and the quotes around it and `Bearer` before it",
}


@pytest.mark.parametrize("form", WRAPPED)
def test_what_surrounds_a_token_is_named_and_the_token_is_not_shown(form: str, tmp_path: Path) -> None:
    token = Signer(KEY).token(Grant(instance="showdown", tenant="default"))
    (tmp_path / "token.jwt").write_text(form.format(token), "utf-8")
    file = str(tmp_path / "token.jwt")
    for argument, told in ((file, f"remove {WRAPPED[form]}"), (form.format(token), "token itself")):
        with pytest.raises(TokenError) as raised:
            token_in(argument)
        assert told in str(raised.value) and token[:20] not in str(raised.value)


def test_a_wrapped_token_and_one_in_another_encoding_are_named(tmp_path: Path) -> None:
    token, file = Signer(KEY).token(Grant(instance="showdown", tenant="default")), tmp_path / "token.jwt"
    for content, told in ((f"{token[:76]}\n{token[76:]}".encode(), "in one line"), (token.encode("utf-16"), "UTF-16")):
        file.write_bytes(content)
        with pytest.raises(TokenError, match=told):
            token_in(str(file))
