"""Key pair files of administrators: made once, 0600 from the first byte, never overwritten."""

import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from components.errors import KeyFileError
from components.keys import MINIMUM_BITS, public_key

KEY_BITS = 2048
PUBLIC_EXPONENT = 65537


def new_key() -> rsa.RSAPrivateKey:
    """Return a new RSA key pair, in memory alone."""
    return rsa.generate_private_key(PUBLIC_EXPONENT, KEY_BITS)


def write_secret(path: Path, content: bytes) -> None:
    """Write a new file with mode 0600; raises `KeyFileError` where `path` is there already or cannot be made."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise KeyFileError(
            f"{path} is there already and is not overwritten; name another file, or move it away"
        ) from error
    except OSError as error:
        raise KeyFileError(f"{path} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
    except OSError as error:
        path.unlink()  # half a key is worse than none
        raise KeyFileError(f"{path} cannot be written: {error.strerror}") from error


def write_key_pair(path: Path) -> None:
    """Make a key pair and write it to `path` as PKCS#8 PEM."""
    pem = new_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_secret(path, pem)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"key file {path}: {error.strerror}") from error


def read_key_pair(path: Path) -> rsa.RSAPrivateKey:
    """Return the key pair in `path` (PKCS#8 or PKCS#1 PEM); raises `KeyFileError` with what is wrong."""
    try:
        key = load_pem_private_key(_read(path), None)
    except TypeError as error:
        raise KeyFileError(f"key file {path}: it is encrypted with a passphrase, which is not supported yet") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(
            f"key file {path}: no private key in PEM form; `./opstrace ta-create-keypair FILE` makes one"
        ) from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise KeyFileError(f"key file {path}: a {type(key).__name__}, but only RSA keys can sign RS256 tokens")
    if key.key_size < MINIMUM_BITS:
        raise KeyFileError(
            f"key file {path}: an RSA key of {key.key_size} bits, but RS256 needs {MINIMUM_BITS} at least (RFC 7518, 3.3)"
        )
    return key


def read_public_key(path: Path) -> rsa.RSAPublicKey:
    """Return the public key in `path`, a public PEM or a key pair; raises `KeyFileError` with what is wrong."""
    text = _read(path)
    if b"PUBLIC KEY" in text:
        try:
            return public_key(text.decode())
        except (KeyFileError, UnicodeDecodeError) as error:
            raise KeyFileError(f"key file {path}: {error}") from error
    return read_key_pair(path).public_key()
