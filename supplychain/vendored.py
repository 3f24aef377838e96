"""The front-end files of others, of the page and of tests, built from npm packages by their lock file: `make vendor`.

npm's lock file has the version and the checksum of each package. `vendor.lock.json` of each folder has the packages whose
content is in a file, and the checksum of each file. A build writes the same files, byte for byte.
"""

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supplychain.locks import ROOT

SOURCES = ROOT / "supplychain" / "frontend"
NPM_LOCK = SOURCES / "package-lock.json"
BANNER = '/* Built by "make vendor" from packages of npm. The licences are beside this file. */'
ESBUILD = ("--bundle", "--format=esm", "--minify", "--target=es2022", "--charset=utf8", "--legal-comments=none")
SPDX = {"BSD-0-Clause": "0BSD"}  # where a package's metadata has other words
PACKAGE = re.compile(r"node_modules/((?:@[^/]+/)?[^/]+)/")
# The licence of a package without a text of it; the text is that of another file.
TEXTS = {"Apache-2.0": ROOT / "LICENSE"}


@dataclass(frozen=True)
class Place:
    """A folder with files of npm packages: those that are copied, by their paths in npm's folder, and bundles, by their sources."""

    folder: Path
    copied: Mapping[str, str]
    bundles: Mapping[str, str]

    @property
    def lock(self) -> Path:
        """The file with the packages whose content is in a file, and the checksum of each file."""
        return self.folder / "vendor.lock.json"

    def packages(self) -> list["Package"]:
        """Return the packages whose content is in a file."""
        versions = locked()
        return [versions[name] for name in json.loads(self.lock.read_text())["packages"]]


PAGE = Place(
    ROOT / "scripts" / "web" / "static" / "vendor",
    {
        "htmx.min.js": "htmx.org/dist/htmx.min.js",
        "hx-sse.min.js": "htmx.org/dist/ext/hx-sse.min.js",
        "uPlot.iife.min.js": "uplot/dist/uPlot.iife.min.js",
        "uPlot.min.css": "uplot/dist/uPlot.min.css",
    },
    {"editor.min.js": "editor.js"},
)
TESTS = Place(ROOT / "tests" / "support" / "vendor", {"axe.min.js": "axe-core/axe.min.js"}, {})
PLACES = (PAGE, TESTS)


@dataclass(frozen=True)
class Package:
    """A package of npm: its name, its version, its licence as SPDX names it, and its SHA-512 as npm writes it."""

    name: str
    version: str
    licence: str
    integrity: str


@dataclass(frozen=True)
class Build:
    """What a build makes: the content of each file by its name, and the names of the packages in them."""

    files: Mapping[str, bytes]
    packages: tuple[str, ...]

    def lock(self) -> dict[str, Any]:
        """Return the content of the lock file for this build."""
        checksums = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(self.files.items())}
        return {"packages": list(self.packages), "files": checksums}


class VendorError(Exception):
    """A package or a file is not what the lock files say. The text has the value, the reason and the remedy."""


def locked() -> dict[str, Package]:
    """Return all packages of npm's lock file by name, those that only build too."""
    entries: dict[str, dict[str, Any]] = json.loads(NPM_LOCK.read_text())["packages"]
    found = {path.removeprefix("node_modules/"): entry for path, entry in entries.items() if path}
    return {
        name: Package(name, entry["version"], SPDX.get(entry["license"], entry["license"]), entry["integrity"])
        for name, entry in found.items()
    }


def licence_file(package: str) -> str:
    """Return the name of the file with a package's licence."""
    return f"LICENSE.{package.removeprefix('@').replace('/', '-')}"


def build() -> list[Build]:
    """Build the files of each place in a temporary folder; raises `VendorError` where npm or esbuild refuses."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copytree(SOURCES, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
        _run(["npm", "ci"], folder)
        return [_build_of(place, folder) for place in PLACES]


def _build_of(place: Place, folder: Path) -> Build:
    modules = folder / "node_modules"
    files = {name: (modules / path).read_bytes() for name, path in place.copied.items()}
    used = {_package_of(f"node_modules/{path}") for path in place.copied.values()}
    for name, entry in place.bundles.items():
        files[name], inputs = _bundle(folder, entry)
        used |= inputs
    return Build(files | _licences(modules, used), tuple(sorted(used)))


def _bundle(folder: Path, entry: str) -> tuple[bytes, set[str]]:
    """Return a bundle, and the packages of which it has code."""
    out, about = folder / "bundle.js", folder / "bundle.json"
    program = str(folder / "node_modules" / ".bin" / "esbuild")
    files = (f"--banner:js={BANNER}", f"--outfile={out.name}", f"--metafile={about.name}")
    _run([program, entry, *ESBUILD, *files], folder)
    inputs: dict[str, dict[str, int]] = json.loads(about.read_text())["outputs"][out.name]["inputs"]
    return out.read_bytes(), {
        _package_of(path) for path, part in inputs.items() if path != entry and part["bytesInOutput"]
    }


def _package_of(path: str) -> str:
    match = PACKAGE.match(path)
    if match is None:
        raise VendorError(f"{path} is in a bundle, but in no package of npm; import packages alone")
    return match[1]


def _licences(modules: Path, names: Iterable[str]) -> dict[str, bytes]:
    versions, files = locked(), dict[str, bytes]()
    for name in names:
        licence = versions[name].licence
        text = next(iter(sorted((modules / name).glob("LICEN[CS]E*"))), TEXTS.get(licence))
        if text is None:
            raise VendorError(f"{name} has no licence text, and {licence} has none here; add its text")
        files[licence_file(name)] = text.read_bytes()
    return files


def _run(command: list[str], folder: Path) -> None:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        raise VendorError(f"{Path(command[0]).name} failed: {result.stderr.strip()}")


def rebuild(
    folders: Sequence[Path], made: Callable[[], Sequence[Build]] = build, *, accept: bool = False
) -> list[Path]:
    """Write the vendored files of each place into its folder; return their paths.

    Raises `VendorError`, and writes nothing, where a checksum differs from the lock file's. With `accept`, the lock files
    take the new ones.
    """
    results = made()
    locks = [json.loads(place.lock.read_text()) for place in PLACES]
    for place, lock, result in zip(PLACES, locks, results, strict=True):
        if not accept:
            _require_same(place, lock, result.lock())
    paths: list[Path] = []
    for place, folder, lock, result in zip(PLACES, folders, locks, results, strict=True):
        for old in lock["files"].keys() - result.files.keys():
            (folder / old).unlink(missing_ok=True)
        for name, content in result.files.items():
            (folder / name).write_bytes(content)
        (folder / place.lock.name).write_text(json.dumps(result.lock(), indent=2) + "\n")
        paths += [folder / name for name in sorted(result.files)]
    return paths


def _require_same(place: Place, lock: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    for name in sorted({*lock["files"], *found["files"]}):
        expected, made = lock["files"].get(name, "none"), found["files"].get(name, "none")
        if expected != made:
            raise VendorError(
                f"{name} has the checksum {made}, and {place.lock.relative_to(ROOT)} has {expected}; check the new content, "
                "then run `make vendor ACCEPT=--accept`"
            )


def main() -> None:
    """Rebuild the vendored files; an error is one line on stderr."""
    options = argparse.ArgumentParser(prog="python -P -m supplychain.vendored", description=__doc__)
    options.add_argument("--accept", action="store_true", help="Take new checksums into the lock file.")
    try:
        accept = options.parse_args().accept
        written = rebuild([place.folder for place in PLACES], accept=accept)
        print(*(path.relative_to(ROOT) for path in written), sep="\n")
    except (VendorError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
