"""The front-end files of others are those of their lock file, and none is taken with another checksum."""

import hashlib
import tarfile
from pathlib import Path

import pytest

from supplychain import vendored
from supplychain.vendored import FOLDER, LOCK, Package, VendorError, name_of, packages, rebuild


def archive_of(package: Package, folder: Path) -> Path:
    """Return an archive like npm's, with the vendored files of a package."""
    archive = folder / "package.tgz"
    with tarfile.open(archive, "w:gz") as opened:
        for path in package.files:
            opened.add(FOLDER / name_of(package, path), f"package/{path}")
    return archive


def test_the_vendored_files_are_those_of_the_lock_file() -> None:
    expected = {name_of(package, path): digest for package in packages() for path, digest in package.files.items()}
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in FOLDER.iterdir() if path != LOCK}
    assert expected and found == expected


def test_each_vendored_package_has_its_licence_beside_it() -> None:
    assert all((FOLDER / f"LICENSE.{package.name}").is_file() for package in packages())


def test_an_archive_with_another_checksum_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(VendorError, match=r"the archive of htmx\.org has the checksum sha512-"):
        rebuild(tmp_path, archive_of)
    assert [path.name for path in tmp_path.iterdir()] == []


def test_a_file_with_another_checksum_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (package,) = packages()
    monkeypatch.setattr(vendored, "_sha512", lambda data: package.integrity)
    altered = Package(package.name, package.version, package.licence, package.integrity, {"LICENSE": "0" * 64})
    with pytest.raises(VendorError, match=r"LICENSE of htmx\.org has the checksum"):
        vendored.files_of(altered, archive_of(package, tmp_path))


@pytest.mark.nightly
def test_npm_gives_the_same_files_byte_for_byte(tmp_path: Path) -> None:
    for name in rebuild(tmp_path):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()
