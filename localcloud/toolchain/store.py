"""The cache of tools: each once, whole, under its version and the checksum of its recipe."""

import errno
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from localcloud.errors import ToolError
from localcloud.toolchain.sources import Source, Unavailable
from scripts.terminal import note, step

Suitable = Callable[[], Path | None]
"""Looks for a tool on PATH; returns the folder of its programs, or None."""


@dataclass(frozen=True)
class Tool:
    """A tool at one version: the programs it consists of and the places it can come from.

    `suitable` is how it is looked for on PATH, if at all.
    """

    name: str
    version: str
    programs: tuple[str, ...]
    sources: tuple[Source, ...]
    suitable: Suitable | None = None

    def key(self) -> str:
        """Return 12 hex digits that change with anything that would change the programs."""
        recipe = "\n".join(filter(None, (source.fingerprint() for source in self.sources)))
        return hashlib.sha256(recipe.encode()).hexdigest()[:12]


def cache_home() -> Path:
    """Return the user's folder for tools; it may be deleted at any time (XDG Base Directory)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "opstrace" / "tools"


@contextmanager
def _locked(path: Path, what: str) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note(f"  waiting: another process is fetching or building {what}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def cached(tool: Tool) -> Path | None:
    """Return the folder of the tool's programs if it is there without any work, else None."""
    on_path = tool.suitable() if tool.suitable else None
    if on_path:
        return on_path
    home = cache_home() / f"{tool.name}-{tool.version}-{tool.key()}"
    return home if _is_whole(home, tool) else None


def _is_whole(folder: Path, tool: Tool) -> bool:
    """Tell whether all programs are there; a link into the machine's own folders ends with what it leads to."""
    return all((folder / name).exists() for name in tool.programs)


def ensure(tool: Tool) -> Path:
    """Return the folder of the tool's programs, fetching or building it first where it must be.

    Two processes never do the same work, and a folder is there whole or not at all.
    Raises `ToolError` with every source's reason when none can provide it.
    """
    found = cached(tool)
    if found:
        return found
    home = cache_home()
    final = home / f"{tool.name}-{tool.version}-{tool.key()}"
    try:
        with _locked(home / ".locks" / tool.name, tool.name):
            if not _is_whole(final, tool):
                shutil.rmtree(final, ignore_errors=True)
                for stale in home.glob(f".partial-{tool.name}-*"):  # only a process that was killed leaves one
                    shutil.rmtree(stale)
                _provide(tool, home, final)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ToolError(f"the disk is full: {tool.name} could not be stored in {home}; free space there") from error
        raise
    return final


def _provide(tool: Tool, home: Path, final: Path) -> None:
    reasons = []
    for source in tool.sources:
        partial = Path(tempfile.mkdtemp(prefix=f".partial-{tool.name}-", dir=home))
        try:
            with step(f"{tool.name} {tool.version}: {source.describe()}", source.estimate) as outcome:
                try:
                    source.provide(partial)
                except Unavailable as unavailable:
                    outcome.text = f"not to be had here ({unavailable})"
                    raise
                missing = [name for name in tool.programs if not os.access(partial / name, os.X_OK)]
                if missing:
                    raise ToolError(f"{tool.name} {tool.version} came without {', '.join(missing)}")
            partial.chmod(0o755)
            partial.rename(final)
            return
        except Unavailable as unavailable:
            reasons.append(str(unavailable))
        except subprocess.CalledProcessError as error:
            raise ToolError(f"{tool.name} {tool.version}: {error}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    raise ToolError(
        f"{tool.name} {tool.version} cannot be had on this machine; "
        f"{'install that version on PATH, or ' if tool.suitable else ''}mend one of these:\n  - "
        + "\n  - ".join(reasons)
    )
