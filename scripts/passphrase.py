"""Passphrases of key pair files: from a file, the environment or the terminal, never from an argument."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import click

from components.errors import KeyFileError

VARIABLE = "OPSTRACE_KEY_PASSPHRASE"
LONGEST = 1023  # bytes that OpenSSL takes
PASSPHRASE_FILE = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    help=f"File with the key pair's passphrase, where it has one; else {VARIABLE}, else the terminal is asked.",
)


_kept: bytes | None = None


def keep_from_others() -> None:
    """Take the passphrase out of the environment, which everything that is started from here on would inherit."""
    global _kept
    _kept = os.environb.pop(VARIABLE.encode(), None)


def _given(file: Path | None) -> bytes | None:
    """Return the passphrase of the file or the environment, None where there is neither."""
    if file is None:
        found = os.environb.get(VARIABLE.encode(), _kept)
        return None if found is None else _checked(found, VARIABLE)
    try:
        return _checked(file.read_bytes().removesuffix(b"\n").removesuffix(b"\r"), str(file))
    except OSError as error:
        raise KeyFileError(f"passphrase file {file}: {error.strerror}") from error


def _checked(passphrase: bytes, source: str) -> bytes:
    if 0 < len(passphrase) <= LONGEST:
        return passphrase
    raise KeyFileError(f"the passphrase of {source} has {len(passphrase)} bytes; it must have 1 to {LONGEST}")


def of_existing_key(path: Path, file: Path | None = None) -> bytes:
    """Return the passphrase of the key pair in `path`; raises `KeyFileError` where nobody can be asked."""
    found = _given(file)
    if found is not None:
        return found
    if not sys.stdin.isatty():
        raise KeyFileError(
            f"key file {path}: it is encrypted; give --passphrase-file FILE, set {VARIABLE}, or call this in a terminal"
        )
    return _checked(click.prompt(f"Passphrase of {path}", hide_input=True, err=True).encode(), "the terminal")


def reader(file: Path | None) -> Callable[[Path], bytes]:
    """Return what asks for the passphrase of a key pair that turns out to be encrypted."""
    return lambda path: of_existing_key(path, file)


def of_new_key(path: Path, file: Path | None, *, ask: bool) -> bytes | None:
    """Return the passphrase for a key pair that is about to be made, None where none is given or asked for.

    Raises `KeyFileError` where it is to be asked for without a terminal.
    """
    found = _given(file)
    if found is not None or not ask:
        return found
    if not sys.stdin.isatty():
        raise KeyFileError(
            f"--encrypt asks for a passphrase in a terminal; give --passphrase-file FILE or set {VARIABLE}"
        )
    prompt = f"Passphrase for {path}"
    return _checked(click.prompt(prompt, hide_input=True, confirmation_prompt=True, err=True).encode(), "the terminal")
