"""Programs of Debian packages, with whatever they need and the machine lacks."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from localcloud.toolchain.package_sources import DebianPackages

APT_GET = """#!/bin/sh
echo "$*" >> "$LOG"
case "$*" in
  *--simulate*) printf 'Inst libnew (1.0 Debian:12 [amd64])\\nInst program (2.0 Debian:12 [amd64])\\nConf libnew\\n' ;;
  *download*) touch program.deb libnew.deb ;;
esac
"""
DPKG_DEB = """#!/bin/sh
mkdir -p "$3/usr/bin" && touch "$3/usr/bin/program"
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The calls of `apt-get`, which would install a library with the program."""
    for name, script in (("apt-get", APT_GET), ("dpkg-deb", DPKG_DEB)):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    return tmp_path / "log"


@pytest.mark.parametrize(("complete", "fetched"), [(True, "download libnew program"), (False, "download program")])
def test_missing_packages_are_fetched_for_a_program_that_wants_them(
    log: Path, tmp_path: Path, complete: bool, fetched: str
) -> None:
    folder = tmp_path / "tool"
    folder.mkdir()
    DebianPackages(("program",), {"program": "usr/bin/program"}, complete=complete).provide(folder)
    assert (folder / "program").exists() and not [*folder.glob("*.deb")]
    *simulated, downloaded = log.read_text().splitlines()
    assert downloaded.endswith(fetched) and len(simulated) == complete


def test_a_program_finds_all_libraries_of_its_packages(log: Path, tmp_path: Path) -> None:
    """Some libraries look for others in a folder of the machine, which may not be there."""
    folder = tmp_path / "tool"
    folder.mkdir()
    source = DebianPackages(("program",), {"program": "usr/bin/program"}, libraries="lib", private=("lib/own",))
    source.provide(folder)
    (folder / "root" / "usr" / "bin" / "program").unlink()
    (folder / "root" / "usr" / "bin" / "program").symlink_to(shutil.which("env") or "")
    environment = subprocess.run([folder / "program"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert f"LD_LIBRARY_PATH={folder}/root/lib:{folder}/root/lib/own" in environment
    assert source.fingerprint() != DebianPackages(source.packages, source.programs, libraries="lib").fingerprint()
