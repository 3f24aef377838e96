"""Passphrases of key pair files: from a file, the environment or the terminal, never from the command line."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import click

from components.core.errors import KeyFileError
from scripts.ui.regular_files import reason

VARIABLE = "OPSTRACE_KEY_PASSPHRASE"
LONGEST = 1023  # bytes, OpenSSL's limit
PASSPHRASE_FILE = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    help=f"File with the key pair's passphrase. Without it, {VARIABLE} or a prompt provides the passphrase.",
)


_from_environment: dict[str, bytes] = {}  # the passphrase, after `keep_from_others` removed it there


def keep_from_others() -> None:
    """Remove the passphrase from the environment, so that programs that this process starts do not inherit it."""
    _from_environment.clear()
    passphrase = os.environb.pop(VARIABLE.encode(), None)
    if passphrase is not None:
        _from_environment[VARIABLE] = passphrase


def _without_prompt(file: Path | None) -> bytes | None:
    """Return the passphrase of the file or the environment, None if there is neither."""
    if file is None:
        passphrase = os.environb.get(VARIABLE.encode(), _from_environment.get(VARIABLE))
        return None if passphrase is None else _checked(passphrase, VARIABLE)
    try:
        return _checked(file.read_bytes().removesuffix(b"\n").removesuffix(b"\r"), str(file))
    except OSError as error:
        raise KeyFileError(f"passphrase file {file}: {reason(error)}") from error


def _checked(passphrase: bytes, source: str) -> bytes:
    if 0 < len(passphrase) <= LONGEST:
        return passphrase
    raise KeyFileError(f"the passphrase of {source} has {len(passphrase)} bytes; it must have 1 to {LONGEST}")


def of_existing_key(path: Path, file: Path | None = None) -> bytes:
    """Return the passphrase of the key pair in `path`; raises `KeyFileError` if a prompt is needed without a terminal."""
    passphrase = _without_prompt(file)
    if passphrase is not None:
        return passphrase
    if not sys.stdin.isatty():
        raise KeyFileError(
            f"key file {path}: it is encrypted; use --passphrase-file FILE, set {VARIABLE}, or run this in a terminal"
        )
    return _checked(click.prompt(f"Passphrase of {path}", hide_input=True, err=True).encode(), "the terminal")


def reader(file: Path | None) -> Callable[[Path], bytes]:
    """Return the function that reads the passphrase of an encrypted key pair."""
    return lambda path: of_existing_key(path, file)


def of_new_key(path: Path, file: Path | None, *, ask: bool) -> bytes | None:
    """Return the passphrase for a new key pair, None if there is none; `ask` prompts for it.

    Raises `KeyFileError` if a prompt is needed without a terminal.
    """
    passphrase = _without_prompt(file)
    if passphrase is not None or not ask:
        return passphrase
    if not sys.stdin.isatty():
        raise KeyFileError(
            f"--encrypt asks for a passphrase in a terminal; elsewhere, use --passphrase-file FILE or set {VARIABLE}"
        )
    prompt = f"Passphrase for {path}"
    return _checked(click.prompt(prompt, hide_input=True, confirmation_prompt=True, err=True).encode(), "the terminal")
