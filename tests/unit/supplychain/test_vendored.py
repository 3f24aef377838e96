"""The front-end files of others are those of their lock file, each under a permissive licence; others are refused."""

import hashlib
import json
from pathlib import Path

import pytest

from supplychain import vendored
from supplychain.vendored import FOLDER, LOCK, NPM_LOCK, SOURCES, Build, VendorError, licence_file, packages, rebuild

PERMISSIVE = {"0BSD", "Apache-2.0", "BlueOak-1.0.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"}


def vendored_build() -> Build:
    """Return the build whose files are in the repository."""
    lock = json.loads(LOCK.read_text())
    return Build({name: (FOLDER / name).read_bytes() for name in lock["files"]}, tuple(lock["packages"]))


def test_the_vendored_files_are_those_of_the_lock_file() -> None:
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in FOLDER.iterdir() if path != LOCK}
    assert found and found == json.loads(LOCK.read_text())["files"]


def test_each_vendored_package_has_a_permissive_licence_beside_it() -> None:
    assert {package.licence for package in packages()} <= PERMISSIVE
    assert all((FOLDER / licence_file(package.name)).stat().st_size > 100 for package in packages())


def test_each_package_is_pinned_by_its_version_and_its_checksum() -> None:
    wanted = json.loads((SOURCES / "package.json").read_text())
    versions = {name: package.version for name, package in vendored.locked().items()}
    assert {name: versions[name] for name in wanted["dependencies"]} == wanted["dependencies"]
    assert all(package.integrity.startswith("sha512-") for package in vendored.locked().values())
    assert "resolved" not in NPM_LOCK.read_text()  # the lock file names no host


def test_the_same_build_is_written_again(tmp_path: Path) -> None:
    names = rebuild(tmp_path, vendored_build)
    assert {path.name for path in tmp_path.iterdir()} == {*names, LOCK.name}
    assert (tmp_path / LOCK.name).read_bytes() == LOCK.read_bytes()


def test_a_build_with_another_checksum_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    same = vendored_build()
    altered = Build({**same.files, "htmx.min.js": b"altered"}, same.packages)
    with pytest.raises(VendorError, match=r"htmx\.min\.js has the checksum [0-9a-f]{64}, and vendor\.lock\.json has"):
        rebuild(tmp_path, lambda: altered)
    assert [*tmp_path.iterdir()] == []


def test_an_accepted_build_takes_the_place_of_the_old_files(tmp_path: Path) -> None:
    (tmp_path / "htmx.min.js").write_text("old")
    rebuild(tmp_path, lambda: Build({"new.js": b"new"}, ("uplot",)), accept=True)
    assert {path.name for path in tmp_path.iterdir()} == {"new.js", LOCK.name}
    lock = json.loads((tmp_path / LOCK.name).read_text())
    assert lock == {"packages": ["uplot"], "files": {"new.js": hashlib.sha256(b"new").hexdigest()}}


@pytest.mark.nightly
def test_npm_and_esbuild_give_the_same_files_byte_for_byte(tmp_path: Path) -> None:
    for name in rebuild(tmp_path):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()
