"""The front-end files of others in `scripts/web/static/vendor`, fetched by their lock file: `make vendor`.

The lock file has the version, the checksum and the licence of each npm package, and the checksum of each file.
"""

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supplychain.locks import ROOT

FOLDER = ROOT / "scripts" / "web" / "static" / "vendor"
LOCK = FOLDER / "vendor.lock.json"


@dataclass(frozen=True)
class Package:
    """A package of npm.

    Attributes:
        name: Its name.
        version: Its version.
        licence: Its licence as SPDX names it.
        integrity: The SHA-512 of its archive, as npm writes it.
        files: The SHA-256 of each file that is taken, by its path in the archive.
    """

    name: str
    version: str
    licence: str
    integrity: str
    files: dict[str, str]


class VendorError(Exception):
    """A package or a file is not what the lock file says. The text has the value, the reason and the remedy."""


def packages() -> list[Package]:
    """Return the packages of the lock file."""
    return [Package(**entry) for entry in json.loads(LOCK.read_text())["packages"]]


def fetched(package: Package, folder: Path) -> Path:
    """Return the archive of a package, which npm fetches into `folder`; raises `VendorError` if npm cannot."""
    command = ["npm", "pack", f"{package.name}@{package.version}", "--json", "--pack-destination", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise VendorError(f"npm cannot fetch {package.name} {package.version}: {result.stderr.strip()}")
    about: list[dict[str, Any]] = json.loads(result.stdout)
    return folder / str(about[0]["filename"])


def files_of(package: Package, archive: Path) -> dict[str, bytes]:
    """Return the files that are taken from a package's archive, by their names.

    Raises `VendorError` where a checksum is not that of the lock file.
    """
    _require(f"the archive of {package.name}", package.integrity, _sha512(archive.read_bytes()))
    files = {}
    with tarfile.open(archive) as opened:
        for path, checksum in package.files.items():
            member = opened.extractfile(f"package/{path}")
            content = member.read() if member else b""
            _require(f"{path} of {package.name}", checksum, hashlib.sha256(content).hexdigest())
            files[name_of(package, path)] = content
    return files


def name_of(package: Package, path: str) -> str:
    """Return the name of a vendored file, by its path in its package. A licence is named after the package."""
    name = Path(path).name
    return f"{name}.{package.name}" if name.startswith("LICENSE") else name


def _sha512(data: bytes) -> str:
    return f"sha512-{base64.b64encode(hashlib.sha512(data).digest()).decode()}"


def _require(what: str, expected: str, found: str) -> None:
    if found != expected:
        raise VendorError(
            f"{what} has the checksum {found}, and {LOCK.name} has {expected}; check the new content first"
        )


def rebuild(folder: Path, fetch: Callable[[Package, Path], Path] = fetched) -> list[str]:
    """Write all vendored files into `folder`; return their names. Nothing is written if a checksum differs."""
    files: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for package in packages():
            files |= files_of(package, fetch(package, Path(temporary)))
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return sorted(files)


def main() -> None:
    """Rebuild the vendored files; an error is one line on stderr."""
    try:
        print(*rebuild(FOLDER), sep="\n")
    except (VendorError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
