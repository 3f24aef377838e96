"""The lock files: every installed Python package with its version and the hashes of its files."""

from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name
from pip_requirements_parser import InstallRequirement, RequirementsFile

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Lock:
    """A lock file and the requirements files from which `make lock` generates it."""

    path: Path
    inputs: tuple[Path, ...]

    def packages(self) -> dict[str, InstallRequirement]:
        """Return the entries of the lock file by the packages' normalized names."""
        return requirements(self.path)


def requirements(path: Path) -> dict[str, InstallRequirement]:
    """Return the entries of a requirements file by the packages' normalized names; raises `ValueError` for invalid lines."""
    file = RequirementsFile.from_file(str(path))
    if file.invalid_lines:
        raise ValueError(f"{path}: {file.invalid_lines[0].line!r} is no requirement; correct or remove the line")
    return {canonicalize_name(entry.name): entry for entry in file.requirements}


COMMAND = Lock(ROOT / "requirements.lock", (ROOT / "requirements.txt",))
LOCAL = Lock(ROOT / "localcloud" / "requirements.lock", (ROOT / "localcloud" / "requirements.txt",))
TESTS = Lock(ROOT / "tests" / "requirements.lock", (ROOT / "tests" / "requirements.txt",))
GO = Lock(
    ROOT / "localcloud" / "toolchain" / "requirements.lock", (ROOT / "localcloud" / "toolchain" / "requirements.txt",)
)
LOCKS = (COMMAND, LOCAL, TESTS, GO)
