"""Key files in the forms that people have: each is taken, or the error says what it is and the command that converts it."""

import base64
import json
import re
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from shlex import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from cryptography.x509.oid import NameOID
from jwt.algorithms import RSAAlgorithm

from components.core.errors import KeyFileError
from components.core.public_keys import canonical_pem, public_key
from scripts.tokens.key_files import read_key_pair, read_public_key
from scripts.tokens.signing import Grant, Signer
from tests.support.factories import KEY, PAIR

NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "team")])
CERTIFICATE = x509.CertificateBuilder(
    NAME, NAME, KEY, 1, datetime(2026, 1, 1), datetime(2026, 1, 1) + timedelta(90)
).sign(PAIR, SHA256())
REQUEST = x509.CertificateSigningRequestBuilder(NAME).sign(PAIR, SHA256())
OTHER = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())


def private(encoding: Encoding = Encoding.PEM, form: PrivateFormat = PrivateFormat.PKCS8, secret: bytes = b"") -> bytes:
    return PAIR.private_bytes(encoding, form, BestAvailableEncryption(secret) if secret else NoEncryption())


def public(encoding: Encoding = Encoding.PEM, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo) -> bytes:
    return KEY.public_bytes(encoding, form)


def jwk(key: rsa.RSAPrivateKey | rsa.RSAPublicKey) -> dict[str, str]:
    return RSAAlgorithm.to_jwk(key, as_dict=True)


PEM, PUBLIC = private(), public()
TAKEN_PAIRS = {
    "PKCS#8": PEM,
    "PKCS#1": private(form=PrivateFormat.TraditionalOpenSSL),
    "CRLF": PEM.replace(b"\n", b"\r\n"),
    "BOM": b"\xef\xbb\xbf" + PEM,
    "one line": PEM.replace(b"\n", b" "),
    "one line without blanks": PEM.replace(b"\n", b""),
    "escaped line ends": PEM.replace(b"\n", b"\\n"),
    "escaped CRLF in quotes": b'"' + PEM.replace(b"\n", b"\\r\\n") + b'"\n',
    "both halves": PEM + PUBLIC,
    "both halves, the public one first": PUBLIC + PEM,
    "with its certificate": PEM + CERTIFICATE.public_bytes(Encoding.PEM),
    "text before it": b"Bag Attributes\n    friendlyName: team\n" + PEM,
    "JSON Web Key": json.dumps(jwk(PAIR)).encode(),
    "set of one JSON Web Key": json.dumps({"keys": [jwk(PAIR)]}).encode(),
}
TAKEN_PUBLIC = TAKEN_PAIRS | {
    "public": PUBLIC,
    "public, PKCS#1": public(form=PublicFormat.PKCS1),
    "public in one line": PUBLIC.replace(b"\n", b" "),
    "public with escaped line ends in quotes": b"'" + PUBLIC.replace(b"\n", b"\\n") + b"'",
    "PEM in JSON": json.dumps({"kid": PUBLIC.decode()}).encode(),
    "public with BOM": b"\xef\xbb\xbf" + PUBLIC,
    "public JSON Web Key": json.dumps(jwk(KEY) | {"kid": "x", "use": "sig"}).encode(),
    "set of one public JSON Web Key": json.dumps({"keys": [jwk(KEY)]}).encode(),
}
SSH2 = (
    b"---- BEGIN SSH2 PUBLIC KEY ----\n"
    + b"\n".join(re.findall(b".{1,70}", public(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1]))
    + b"\n---- END SSH2 PUBLIC KEY ----\n"
)
PFX = serialize_key_and_certificates(b"team", PAIR, CERTIFICATE, None, NoEncryption())
CONVERTED = {
    "an OpenSSH private key": private(form=PrivateFormat.OpenSSH),
    "an OpenSSH public key (ssh-rsa)": public(Encoding.OpenSSH, PublicFormat.OpenSSH) + b" me@laptop\n",
    "an SSH2 public key (RFC 4716)": SSH2,
    "an X.509 certificate": CERTIFICATE.public_bytes(Encoding.PEM),
    "a certificate request": REQUEST.public_bytes(Encoding.PEM),
    "an X.509 certificate in DER form": CERTIFICATE.public_bytes(Encoding.DER),
    "a key pair in DER form": private(Encoding.DER),
    "a key pair in DER form (PKCS#1)": private(Encoding.DER, PrivateFormat.TraditionalOpenSSL),
    "a public key in DER form": public(Encoding.DER),
    "a public key in DER form (PKCS#1)": public(Encoding.DER, PublicFormat.PKCS1),
    "encoded in UTF-16": PEM.decode().encode("utf-16"),
    "a key encoded in base64 once more": base64.b64encode(PEM),
}
HAS_PAIR = {
    "an OpenSSH private key",
    "a key pair in DER form",
    "encoded in UTF-16",
    "a key encoded in base64 once more",
}


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(content: bytes) -> Path:
        path = tmp_path / "a team's key"
        path.write_bytes(content)
        path.chmod(0o600)
        return path

    return write


@pytest.mark.parametrize("form", TAKEN_PAIRS)
def test_a_key_pair_is_taken(file: Callable[[bytes], Path], form: str) -> None:
    assert read_key_pair(file(TAKEN_PAIRS[form])).private_numbers() == PAIR.private_numbers()


@pytest.mark.parametrize("form", TAKEN_PUBLIC)
def test_a_public_key_is_taken(file: Callable[[bytes], Path], form: str) -> None:
    assert read_public_key(file(TAKEN_PUBLIC[form])) == KEY


@pytest.mark.parametrize("form", CONVERTED)
@pytest.mark.parametrize("read", [read_public_key, read_key_pair])
def test_another_form_is_named_with_the_command_that_converts_it(
    file: Callable[[bytes], Path], tmp_path: Path, form: str, read: Callable[[Path], object]
) -> None:
    path, what = file(CONVERTED[form]), form.removesuffix(" (PKCS#1)")
    with pytest.raises(KeyFileError) as raised:
        read(path)
    told = str(raised.value)
    assert f"it is {what}, not a" in told and str(path) in told
    if read is read_key_pair and what not in HAS_PAIR:
        assert "it has no private key: name the file with the key pair" in told
        return
    (command,) = re.findall("`(.*)`", told)
    command = command.replace("ssh-keygen -p", "ssh-keygen -p -N ''")  # it would ask for a new passphrase
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    (made,) = {*tmp_path.glob("*.pem")}
    assert read_public_key(made) == KEY
    if read is read_key_pair:
        assert read_key_pair(made).public_key() == KEY
        assert made.stat().st_mode & 0o077 == 0


def test_the_command_that_decodes_base64_is_one_of_macos_and_of_linux(file: Callable[[bytes], Path]) -> None:
    """The base64 of macOS refuses a file's name as an operand, and older versions have no -d."""
    path = file(base64.b64encode(PEM))
    with pytest.raises(KeyFileError, match=f"`base64 --decode < {re.escape(quote(str(path)))} > key.pem && chmod 600"):
        read_key_pair(path)


ED25519 = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
SETS = {"keys": [jwk(KEY), jwk(OTHER.public_key())]}
TOLD = {
    "several JSON Web Keys": (json.dumps(SETS).encode(), "JSON Web Key Set of 2 keys", "write one"),
    "other JSON": (b'{"key": "x"}', "JSON file", "write the PEM text"),
    "EC in JSON": (b'{"kty": "EC", "crv": "P-256"}', "no RSA key", "ta-create-keypair FILE"),
    "OpenSSH, no RSA": (ED25519, "(ssh-ed25519)", "ta-create-keypair FILE"),
    "PuTTY": (b"PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\n", "a PuTTY key", "puttygen"),
    "PKCS#12": (PFX, "a PKCS#12 file", "openssl pkcs12"),
    "encrypted DER": (private(Encoding.DER, secret=b"secret"), "a key pair in DER form", "openssl pkey -inform DER"),
    "OpenPGP": (b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n", "an OpenPGP key", "ta-create-keypair FILE"),
    "empty": (b"\n", "it is empty", "ta-create-keypair FILE"),
    "two pairs": (PEM + OTHER.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), "2 private", "one"),
    "halves of two pairs": (PEM + canonical_pem(OTHER.public_key()).encode(), "different key pairs", "write the one"),
    "a token": (
        Signer(PAIR).token(Grant(instance="showdown", tenant="default")).encode(),
        "it is a token",
        "ta-create-keypair",
    ),
    "an EC pair": (
        EC.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "only RSA",
        "ta-create-keypair",
    ),
}


@pytest.mark.parametrize("kind", TOLD)
@pytest.mark.parametrize("read", [read_public_key, read_key_pair])
def test_what_is_no_key_of_ours_is_named_with_the_remedy(
    file: Callable[[bytes], Path], kind: str, read: Callable[[Path], object]
) -> None:
    content, what, remedy = TOLD[kind]
    with pytest.raises(KeyFileError) as raised:
        read(file(content))
    assert what in str(raised.value) and remedy in str(raised.value)
    assert "eyJ" not in str(raised.value)


def test_a_public_key_in_place_of_a_key_pair_is_named(file: Callable[[bytes], Path]) -> None:
    with pytest.raises(KeyFileError, match=r"it is a public key, not a private key.*name the file with the key pair"):
        read_key_pair(file(PUBLIC))


@pytest.mark.parametrize("form", ["an X.509 certificate", "an OpenSSH public key (ssh-rsa)"])
def test_a_stack_file_names_the_form_too(form: str) -> None:
    with pytest.raises(KeyFileError, match=re.escape(f"it is {form}; convert it with")):
        public_key(CONVERTED[form].decode())
