"""The front-end files of others are those of their lock file, each under a permissive licence; others are refused."""

import hashlib
import json
from pathlib import Path

import pytest

from supplychain import vendored
from supplychain.vendored import (
    NPM_LOCK,
    PAGE,
    PLACES,
    SOURCES,
    TESTS,
    Build,
    Place,
    VendorError,
    licence_file,
    rebuild,
)

PERMISSIVE = {"0BSD", "Apache-2.0", "BlueOak-1.0.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"}


OF_TESTS = {"MPL-2.0"}  # licences of files that nobody gets with the page
EACH_PLACE = pytest.mark.parametrize("place", PLACES, ids=["page", "tests"])


def vendored_builds() -> list[Build]:
    """Return the builds whose files are in the repository."""
    locks = [json.loads(place.lock.read_text()) for place in PLACES]
    return [
        Build({name: (place.folder / name).read_bytes() for name in lock["files"]}, tuple(lock["packages"]))
        for place, lock in zip(PLACES, locks, strict=True)
    ]


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """An empty folder for each place."""
    made = [tmp_path / "page", tmp_path / "tests"]
    for folder in made:
        folder.mkdir()
    return made


@EACH_PLACE
def test_the_vendored_files_are_those_of_the_lock_file(place: Place) -> None:
    files = [path for path in place.folder.iterdir() if path != place.lock]
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert found and found == json.loads(place.lock.read_text())["files"]


@EACH_PLACE
def test_each_vendored_package_has_a_permitted_licence_beside_it(place: Place) -> None:
    permitted = PERMISSIVE | OF_TESTS if place is TESTS else PERMISSIVE
    assert {package.licence for package in place.packages()} <= permitted
    assert all((place.folder / licence_file(package.name)).stat().st_size > 100 for package in place.packages())


def test_each_package_is_pinned_by_its_version_and_its_checksum() -> None:
    wanted = json.loads((SOURCES / "package.json").read_text())
    direct = wanted["dependencies"] | wanted["devDependencies"]
    versions = {name: package.version for name, package in vendored.locked().items()}
    assert {name: versions[name] for name in direct} == direct
    assert all(package.integrity.startswith("sha512-") for package in vendored.locked().values())
    assert "resolved" not in NPM_LOCK.read_text()  # the lock file names no host


def test_the_same_builds_are_written_again(folders: list[Path]) -> None:
    paths = rebuild(folders, vendored_builds)
    for place, folder in zip(PLACES, folders, strict=True):
        own = {path for path in paths if path.parent == folder}
        assert {*folder.iterdir()} == {*own, folder / place.lock.name}
        assert (folder / place.lock.name).read_bytes() == place.lock.read_bytes()


@pytest.mark.parametrize(("number", "name"), [(0, "htmx.min.js"), (1, "axe.min.js")])
def test_a_build_with_another_checksum_is_refused_and_nothing_is_written(
    folders: list[Path], number: int, name: str
) -> None:
    altered = vendored_builds()
    altered[number] = Build({**altered[number].files, name: b"altered"}, altered[number].packages)
    with pytest.raises(VendorError, match=rf"{name} has the checksum [0-9a-f]{{64}}, and \S+/vendor\.lock\.json has"):
        rebuild(folders, lambda: altered)
    assert [path for folder in folders for path in folder.iterdir()] == []


def test_an_accepted_build_takes_the_place_of_the_old_files(folders: list[Path]) -> None:
    (folders[0] / "htmx.min.js").write_text("old")
    rebuild(folders, lambda: [Build({"new.js": b"new"}, ("uplot",)), vendored_builds()[1]], accept=True)
    assert {path.name for path in folders[0].iterdir()} == {"new.js", PAGE.lock.name}
    lock = json.loads((folders[0] / PAGE.lock.name).read_text())
    assert lock == {"packages": ["uplot"], "files": {"new.js": hashlib.sha256(b"new").hexdigest()}}


@pytest.mark.nightly
def test_npm_and_esbuild_give_the_same_files_byte_for_byte(folders: list[Path]) -> None:
    for path in rebuild(folders):
        place = PLACES[folders.index(path.parent)]
        assert path.read_bytes() == (place.folder / path.name).read_bytes()
