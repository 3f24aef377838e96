"""A project folder for the tests, so that no test writes into the checkout's `stacks/`."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from scripts.stackfile.file import StackFile
from tests.support.shell import ROOT

STACKS = "stacks"  # `stackConfigDir` in Pulumi.yaml
COPIES = {"opstrace"}  # the launcher resolves symbolic links to find its project
LEFT_OUT = {".git", STACKS}


@dataclass(frozen=True)
class Project:
    """A folder that behaves like a checkout, with its own stack files."""

    folder: Path

    @property
    def launcher(self) -> str:
        """The path of the `opstrace` command."""
        return str(self.folder / "opstrace")

    def stack_path(self, stack: str) -> Path:
        """Return the path of a stack file."""
        return self.folder / STACKS / f"Pulumi.{stack}.yaml"

    def stack_file(self, stack: str) -> StackFile:
        """Return a stack file as the command reads and writes it."""
        return StackFile(stack, self.folder / STACKS)


def make_project(folder: Path) -> Project:
    """Fill a new folder: symbolic links to the parts of the checkout, copies of the files of `stacks/` in git."""
    for part in ROOT.iterdir():
        if part.name in COPIES:
            shutil.copy2(part, folder)
        elif part.name not in LEFT_OUT:
            (folder / part.name).symlink_to(part)
    (folder / STACKS).mkdir()
    for file in (*(ROOT / STACKS).glob("Pulumi.example*.yaml"), ROOT / STACKS / "opstrace.schema.json"):
        shutil.copy2(file, folder / STACKS)
    return Project(folder)


def stack_files_of_checkout() -> dict[str, bytes]:
    """Return the files in the checkout's `stacks/` by name, with those that git ignores."""
    return {file.name: file.read_bytes() for file in (ROOT / STACKS).iterdir()}
