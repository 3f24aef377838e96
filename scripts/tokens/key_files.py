"""Key pair files of administrators. They have mode 0600 from the first byte and are never overwritten."""

import os
import shlex
import stat
from collections.abc import Callable, Sequence
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

from components.core.errors import KeyFileError
from components.core.key_forms import Form, blocks, form_of, key_in_json, tidied
from components.core.public_keys import PUBLIC_EXPONENT, canonical_pem, key_problem, public_key
from scripts.tokens.parse import looks_like_token
from scripts.tokens.passphrase import of_existing_key
from scripts.ui import regular_files
from scripts.ui.terminal import note

KEY_BITS = 2048
PRIVATE = ("PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY")  # of OpenSSL


def new_key(bits: int = KEY_BITS) -> rsa.RSAPrivateKey:
    """Return a new RSA key pair, which no file has yet."""
    return rsa.generate_private_key(PUBLIC_EXPONENT, bits)


def write_secret(path: Path, content: bytes) -> None:
    """Write a new file with mode 0600; raises `KeyFileError` if `path` exists or cannot be written."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise KeyFileError(
            f"{path} exists already and is not overwritten; name another file, or move it away"
        ) from error
    except OSError as error:
        raise KeyFileError(f"{path} cannot be written: {regular_files.reason(error)}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
    except OSError as error:
        path.unlink()  # the file is incomplete
        raise KeyFileError(f"{path} cannot be written: {regular_files.reason(error)}") from error


def write_key_pair(path: Path, bits: int = KEY_BITS, passphrase: bytes | None = None) -> None:
    """Create a key pair and write it to `path` as PKCS#8 PEM, encrypted if there is a passphrase."""
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    write_secret(path, new_key(bits).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))


def _read(path: Path) -> tuple[bytes, os.stat_result]:
    try:
        content, status = regular_files.read(path)
    except OSError as error:
        make = f"check the path, or make a key pair with `./opstrace ta-create-keypair {shlex.quote(str(path))}`"
        raise KeyFileError(f"key file {path}: {regular_files.reason(error, make)}") from error
    return tidied(content), status


def read_key_pair(path: Path, passphrase: Callable[[Path], bytes] = of_existing_key) -> rsa.RSAPrivateKey:
    """Return the key pair in `path`; raises `KeyFileError` with the reason and the remedy if there is none.

    The file has PKCS#8 or PKCS#1 PEM, or a JSON Web Key. `passphrase` is called if the file is encrypted.
    """
    return _key_pair(*_read(path), path, passphrase)


def _key_pair(
    text: bytes, status: os.stat_result, path: Path, passphrase: Callable[[Path], bytes]
) -> rsa.RSAPrivateKey:
    _require_trusted(status, path)
    key = _decoded(text, path, passphrase)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise KeyFileError(
            f"key file {path}: it holds a {type(key).__name__}, but only RSA keys can sign RS256 tokens; create one with "
            "`./opstrace ta-create-keypair FILE`"
        )
    problem = key_problem(key.public_key())
    if problem:
        raise KeyFileError(f"key file {path}: {problem}")
    if status.st_mode & 0o044:
        note(f"key file {path}: other users may read it (mode {stat.S_IMODE(status.st_mode):04o}); `chmod 600 {path}`")
    return key


def _require_trusted(status: os.stat_result, path: Path) -> None:
    """Raise `KeyFileError` if another user can have written the file. That user could sign tokens with its key pair."""
    if status.st_uid not in (os.geteuid(), 0):
        raise KeyFileError(
            f"key file {path}: it belongs to the user {status.st_uid}, who may know the private key; create your own key "
            "pair with `./opstrace ta-create-keypair FILE`"
        )
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o022:
        raise KeyFileError(
            f"key file {path}: other users may write it (mode {mode:04o}) and may have replaced the key pair. If it is "
            f"still yours, run `chmod 600 {path}`"
        )


def _decoded(content: bytes, path: Path, passphrase: Callable[[Path], bytes]) -> PrivateKeyTypes:
    in_json = key_in_json(content)
    if isinstance(in_json, rsa.RSAPrivateKey):
        return in_json
    pem, others = _halves(content, path)
    secret = None
    try:
        try:
            key = load_pem_private_key(pem, None)
        except TypeError:  # the file is encrypted
            secret = passphrase(path)
            key = load_pem_private_key(pem, secret)
    except (ValueError, UnsupportedAlgorithm) as error:
        if secret is not None:
            raise KeyFileError(f"key file {path}: the passphrase is wrong, or the file is damaged") from error
        raise _no_key(content, path, form_of(content), "private") from error
    _require_match(key, others, path)
    return key


def _halves(content: bytes, path: Path) -> tuple[bytes, list[str]]:
    """Return the private key of a PEM file, and the public keys beside it; the whole file where it has no blocks."""
    found = blocks(content.decode("utf-8", "replace"))
    private = [text for label, text in found if label.endswith("PRIVATE KEY")]
    if len(private) > 1:
        raise KeyFileError(f"key file {path}: it has {len(private)} private keys; write one into a file of its own")
    public = [text for label, text in found if label.endswith("PUBLIC KEY")]
    return (private[0].encode(), public) if private else (content, public)


def _require_match(key: PrivateKeyTypes, others: Sequence[str], path: Path) -> None:
    """Raise `KeyFileError` unless the public keys in a file are the other half of its private key."""
    for text in others:
        if isinstance(key, rsa.RSAPrivateKey) and public_key(text) != key.public_key():
            raise KeyFileError(
                f"key file {path}: its public key and its private key belong to different key pairs; write the one that "
                "you mean into a file of its own"
            )


def _no_key(content: bytes, path: Path, form: Form | None, half: str) -> KeyFileError:
    """Return the error for a file without a key of this half, `public` or `private`."""
    if form is None:
        kind = "it is a token, not a key" if looks_like_token(content.decode("utf-8", "replace").strip()) else None
        told = kind or f"no {half} key in PEM form"
        return KeyFileError(f"key file {path}: {told}; create one with `./opstrace ta-create-keypair FILE`")
    remedy = form.public if half == "public" else form.private
    if "ta-create-keypair" not in remedy:
        remedy = remedy.replace("FILE", shlex.quote(str(path)))
    return KeyFileError(f"key file {path}: it is {form.what}, not a {half} key in PEM form; {remedy}")


def read_public_key(path: Path, passphrase: Callable[[Path], bytes] = of_existing_key) -> rsa.RSAPublicKey:
    """Return the public key in `path`; raises `KeyFileError` with the reason and the remedy if there is none.

    The file has a public key or a key pair, as PEM or as a JSON Web Key.
    """
    text, status = _read(path)
    labels = {label for label, _ in blocks(text.decode("utf-8", "replace"))}
    in_json = key_in_json(text)
    if isinstance(in_json, rsa.RSAPrivateKey) or any(label in PRIVATE for label in labels):
        return _key_pair(text, status, path, passphrase).public_key()
    try:
        if isinstance(in_json, rsa.RSAPublicKey):
            return public_key(canonical_pem(in_json))
        if any(label.endswith("PUBLIC KEY") for label in labels):
            return public_key(text.decode())
    except (KeyFileError, UnicodeDecodeError) as error:
        raise KeyFileError(f"key file {path}: {error}") from error
    raise _no_key(text, path, form_of(text), "public")
