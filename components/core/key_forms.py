"""Forms of key files other than PEM: what a file is, and the command that makes PEM of it."""

import json
import re
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key
from jwt import PyJWTError
from jwt.algorithms import RSAAlgorithm

NEW_KEY = "create a key pair with `./opstrace ta-create-keypair FILE`"
BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
LINE = 64  # characters of a PEM file's lines
OF_PKCS12 = bytes.fromhex("2a864886f70d010701")  # the object ID of the data in which a PKCS#12 file has its keys


@dataclass(frozen=True)
class Form:
    """What a file is, and what to do for its public key or for its key pair; `FILE` stands for the file's name."""

    what: str
    public: str
    private: str


def _both(what: str, remedy: str) -> Form:
    return Form(what, remedy, remedy)


def _half(what: str, remedy: str) -> Form:
    return Form(what, remedy, "it has no private key: name the file with the key pair")


def _convert(command: str) -> str:
    return f"convert it with `{command}`"


OPENSSH_PUBLIC = _convert("ssh-keygen -e -m PKCS8 -f FILE > public.pem")
OF_LABELS = {
    "OPENSSH PRIVATE KEY": Form(
        "an OpenSSH private key",
        OPENSSH_PUBLIC,
        _convert("cp FILE pair.pem && ssh-keygen -p -m PKCS8 -f pair.pem"),
    ),
    "CERTIFICATE": _half("an X.509 certificate", _convert("openssl x509 -in FILE -pubkey -noout > public.pem")),
    "CERTIFICATE REQUEST": _half("a certificate request", _convert("openssl req -in FILE -pubkey -noout > public.pem")),
    "SSH2 PUBLIC KEY": _half(
        "an SSH2 public key (RFC 4716)",
        _convert("ssh-keygen -i -m RFC4716 -f FILE > key.pub && ssh-keygen -e -m PKCS8 -f key.pub > public.pem"),
    ),
    "PUBLIC KEY": _half("a public key", "write it into a file of its own"),
    "RSA PUBLIC KEY": _half("a public key", "write it into a file of its own"),
    "PGP PUBLIC KEY BLOCK": _both("an OpenPGP key", NEW_KEY),
    "PGP PRIVATE KEY BLOCK": _both("an OpenPGP key", NEW_KEY),
}
DER_PAIR = Form(
    "a key pair in DER form",
    _convert("openssl pkey -inform DER -in FILE -pubout -out public.pem"),
    _convert("openssl pkey -inform DER -in FILE -out pair.pem"),
)
DER_PUBLIC = _half(
    "a public key in DER form", _convert("openssl pkey -pubin -inform DER -in FILE -pubout -out public.pem")
)
DER_CERTIFICATE = _half(
    "an X.509 certificate in DER form", _convert("openssl x509 -inform DER -in FILE -pubkey -noout > public.pem")
)
PKCS12 = _both("a PKCS#12 file", _convert("openssl pkcs12 -in FILE -nocerts -out pair.pem && chmod 600 pair.pem"))
UTF16 = _both("encoded in UTF-16", _convert("iconv -f UTF-16 -t UTF-8 FILE > key.pem && chmod 600 key.pem"))
# From standard input and by the long option: macOS's base64 reads a file only after -i, and older ones know no -d.
BASE64 = _both("a key encoded in base64 once more", _convert("base64 --decode < FILE > key.pem && chmod 600 key.pem"))


def tidied(content: bytes) -> bytes:
    r"""Return PEM text with the lines that PEM requires; the rest stays as it is.

    Variables of the environment, JSON and editors add byte order marks and quotes, and turn line ends to spaces or `\n`.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content
    if "-----BEGIN " not in text:
        return content.removeprefix(b"\xef\xbb\xbf")
    return BLOCK.sub(_lines, text.replace("\\r", "").replace("\\n", "\n").strip("\"' \r\n")).encode()


def _lines(block: re.Match[str]) -> str:
    label, body = block.groups()
    if ":" in body:  # an encrypted key's headers, whose lines matter
        return block[0]
    text = "".join(body.split())
    lines = [text[start : start + LINE] for start in range(0, len(text), LINE)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----"])


def blocks(text: str) -> list[tuple[str, str]]:
    """Return the label and the whole text of each block in a PEM text."""
    return [(block[1], block[0]) for block in BLOCK.finditer(text)]


def key_in_json(content: bytes) -> RSAPrivateKey | RSAPublicKey | None:
    """Return the RSA key in a JSON Web Key, or in a set of one (RFC 7517); None in any other content."""
    try:
        members = json.loads(content)
        entries = members.get("keys", [members])
        (entry,) = entries
        return RSAAlgorithm.from_jwk(entry)
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError, PyJWTError):
        return None


def form_of(content: bytes) -> Form | None:
    """Return the form of a file from which no key was read, None where it is unknown."""
    if not content.strip():
        return _both("empty", NEW_KEY)
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return UTF16
    if content[:1] == b"\x30":  # a sequence
        return _of_der(content)
    text = content.decode("utf-8", "replace").strip()
    label = re.search(r"----[- ]BEGIN ([A-Z0-9 ]+?)[- ]----", text)
    return OF_LABELS.get(label[1]) if label else _of_text(text)


def _of_text(text: str) -> Form | None:
    ssh = re.match(r"((?:ssh|ecdsa|sk)-[a-z0-9@.-]+) AAAA", text)
    if ssh:
        form = _half(f"an OpenSSH public key ({ssh[1]})", OPENSSH_PUBLIC)
        return form if ssh[1] == "ssh-rsa" else _both(form.what, f"only RSA keys are accepted: {NEW_KEY}")
    if text.startswith("PuTTY-User-Key-File"):
        return _both("a PuTTY key", _convert("puttygen FILE -O private-openssh -o id && ssh-keygen -p -m PKCS8 -f id"))
    if text.startswith("LS0tLS1CRUdJTi"):  # -----BEGIN
        return BASE64
    return _of_json(text)


def _of_json(text: str) -> Form | None:
    try:
        members = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(members, dict):
        return None
    if "kty" in members:
        return _both("a JSON Web Key that is no RSA key", NEW_KEY)
    if isinstance(members.get("keys"), list):
        return _both(f"a JSON Web Key Set of {len(members['keys'])} keys", "write one RSA key into a file of its own")
    return _both("a JSON file that is no JSON Web Key", "write the PEM text of one key into a file of its own")


def _of_der(content: bytes) -> Form | None:
    if OF_PKCS12 in content[:100]:
        return PKCS12
    loaders: list[tuple[Any, Form]] = [
        (lambda: load_der_public_key(content), DER_PUBLIC),
        (lambda: load_der_private_key(content, None), DER_PAIR),
        (lambda: x509.load_der_x509_certificate(content), DER_CERTIFICATE),
    ]
    for load, form in loaders:
        try:
            load()
        except TypeError:  # a passphrase is missing
            return form
        except (ValueError, UnsupportedAlgorithm):
            continue
        return form
    return None
