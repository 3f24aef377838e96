"""Key pair files of administrators: made once, 0600 from the first byte, never overwritten."""

import os
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from components.errors import KeyFileError
from components.keys import key_size_problem, public_key
from scripts.passphrase import of_existing_key

KEY_BITS = 2048
PUBLIC_EXPONENT = 65537


def new_key(bits: int = KEY_BITS) -> rsa.RSAPrivateKey:
    """Return a new RSA key pair, in memory alone."""
    return rsa.generate_private_key(PUBLIC_EXPONENT, bits)


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


def write_key_pair(path: Path, bits: int = KEY_BITS, passphrase: bytes | None = None) -> None:
    """Make a key pair and write it to `path` as PKCS#8 PEM, encrypted where there is a passphrase."""
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    write_secret(path, new_key(bits).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"key file {path}: {error.strerror}") from error


def read_key_pair(path: Path, passphrase: Callable[[Path], bytes] = of_existing_key) -> rsa.RSAPrivateKey:
    """Return the key pair in `path` (PKCS#8 or PKCS#1 PEM); raises `KeyFileError` with what is wrong.

    `passphrase` is called where the file is encrypted.
    """
    key = _decoded(_read(path), path, passphrase)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise KeyFileError(f"key file {path}: a {type(key).__name__}, but only RSA keys can sign RS256 tokens")
    problem = key_size_problem(key.key_size)
    if problem:
        raise KeyFileError(f"key file {path}: {problem}")
    return key


def _decoded(pem: bytes, path: Path, passphrase: Callable[[Path], bytes]) -> PrivateKeyTypes:
    given = None
    try:
        try:
            return load_pem_private_key(pem, None)
        except TypeError:  # it is encrypted
            given = passphrase(path)
            return load_pem_private_key(pem, given)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(
            f"key file {path}: the passphrase is not this file's, or the file is damaged"
            if given is not None
            else f"key file {path}: no private key in PEM form; `./opstrace ta-create-keypair FILE` makes one"
        ) from error


def read_public_key(path: Path, passphrase: Callable[[Path], bytes] = of_existing_key) -> rsa.RSAPublicKey:
    """Return the public key in `path`, a public PEM or a key pair; raises `KeyFileError` with what is wrong."""
    text = _read(path)
    if b"PUBLIC KEY" in text:
        try:
            return public_key(text.decode())
        except (KeyFileError, UnicodeDecodeError) as error:
            raise KeyFileError(f"key file {path}: {error}") from error
    return read_key_pair(path, passphrase).public_key()
