"""The cache of tools. Each complete tool has one folder, named after its version and its recipe's checksum."""

import errno
import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from localcloud.errors import ToolError
from localcloud.folders import cache_folder
from localcloud.progress import SILENT, Progress
from localcloud.toolchain.releases import Origin, Release
from localcloud.toolchain.sources import GoModule, Source, UnavailableError

Building = Callable[["Tool"], object]
"""Called with a tool that is about to be built from source."""

Suitable = Callable[[], Path | None]
"""Looks for a tool on PATH; returns the folder of its programs, or None."""


@dataclass(frozen=True)
class Tool:
    """A tool at one version: its programs, and its sources in the order in which they are tried.

    `suitable` looks for it on PATH; without it PATH is not searched.
    """

    name: str
    version: str
    programs: tuple[str, ...]
    sources: tuple[Source, ...]
    suitable: Suitable | None = None

    def key(self) -> str:
        """Return 12 hex digits that change when a source's programs change."""
        recipe = "\n".join(filter(None, (source.fingerprint() for source in self.sources)))
        return hashlib.sha256(recipe.encode()).hexdigest()[:12]

    def trusting_hosts(self) -> "Tool":
        """Return this tool with releases that are used without a pinned checksum too."""
        sources = (
            replace(source, is_trusted=True) if isinstance(source, Release) else source for source in self.sources
        )
        return replace(self, sources=tuple(sources))


def cache_home() -> Path:
    """Return the user's folder for tools; the user may delete it at any time."""
    return cache_folder() / "tools"


def private_folder(folder: Path, progress: Progress = SILENT) -> Path:
    """Return a folder of the cache, from which programs are run; creates it with mode 0700.

    Corrects a mode that lets others write, with a note. Raises `ToolError` where the folder belongs to another user.
    """
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.stat()
    if status.st_uid not in (os.geteuid(), 0):
        raise ToolError(
            f"{folder} belongs to the user {status.st_uid}, who could put other programs there; move it away, or set "
            "XDG_CACHE_HOME to a folder of yours"
        )
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o022:
        try:
            folder.chmod(0o700)
        except PermissionError as error:
            raise ToolError(f"{folder} has the mode {mode:04o}; let its owner set it to 0700") from error
        progress.note(
            f"{folder} had the mode {mode:04o} and has 0700 now; until now other users could put programs there; if you do "
            "not trust them, remove it: the tools are then fetched or built again"
        )
    return folder


@contextmanager
def _locked(path: Path, tool_name: str, progress: Progress) -> Iterator[None]:
    private_folder(path.parent, progress)
    lock = FileLock(path, fallback_to_soft=False)
    try:
        acquired = lock.acquire(blocking=False)
    except Timeout:
        progress.note(f"  waiting: another process is fetching or building {tool_name}")
        acquired = lock.acquire()
    with acquired:
        yield


def cached(tool: Tool) -> Path | None:
    """Return the folder of the tool's programs if it is on PATH or in the cache, else None."""
    on_path = tool.suitable() if tool.suitable else None
    if on_path:
        return on_path
    home = cache_home() / f"{tool.name}-{tool.version}-{tool.key()}"
    return home if _is_complete(home, tool) else None


def _is_complete(folder: Path, tool: Tool) -> bool:
    """Tell whether the folder is intact, and may be used in this run.

    A release counts as incomplete if another checksum is pinned, or if none is and this run trusts no hosts. What was built
    from source stays complete.
    """
    if not _is_intact(folder, tool):
        return False
    origin = Origin.of(folder)
    return origin is None or any(source.accepts(origin) for source in tool.sources if isinstance(source, Release))


def _is_intact(folder: Path, tool: Tool) -> bool:
    """Tell whether the folder has all programs; a link to an installed program counts while that program exists.

    A folder that another user owns or can write to is not intact, and neither is a link in its place.
    """
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return False
    is_own = stat.S_ISDIR(status.st_mode) and status.st_uid in (os.geteuid(), 0) and not status.st_mode & 0o022
    return is_own and all((folder / name).exists() for name in tool.programs)


class _FetchAhead:
    """Fetches the sources of the next tools in the background, once a tool has to be built: compiling leaves the network idle."""

    def __init__(self, tools: Sequence[Tool]) -> None:
        self._tools = tools
        self._has_begun = False

    def begin(self, tool: Tool) -> None:
        """Fetch the sources of the tools after `tool`, unless that has begun."""
        if not self._has_begun:
            self._has_begun = True
            later = self._tools[self._tools.index(tool) + 1 :]
            threading.Thread(target=self._fetch, args=(later,), daemon=True).start()

    @staticmethod
    def _fetch(tools: Sequence[Tool]) -> None:
        for tool in tools:
            for source in tool.sources if not cached(tool) else ():
                if isinstance(source, GoModule):
                    source.fetch()


def ensure_all(tools: Sequence[Tool], progress: Progress = SILENT) -> dict[str, Path]:
    """Return the folder of each tool, by name, as `ensure` does; while one is built, the sources of the next are fetched."""
    ahead = _FetchAhead(tools)
    return {tool.name: ensure(tool, progress, ahead.begin) for tool in tools}


def ensure(tool: Tool, progress: Progress = SILENT, building: Building = lambda _: None) -> Path:
    """Return the folder of the tool's programs; fetches or builds them where neither PATH nor the cache has them.

    Only one process at a time provides a tool, and its folder appears once it is complete. Raises `ToolError` with every
    source's reason where none can provide it.
    """
    folder = cached(tool)
    home = cache_home()
    final = home / f"{tool.name}-{tool.version}-{tool.key()}"
    if folder and folder != final:
        return folder
    try:
        private_folder(home.parent, progress)
        private_folder(home, progress)
        if _is_complete(final, tool):
            return final
        with _locked(home / ".locks" / tool.name, tool.name, progress):
            if not _is_complete(final, tool):
                if not _is_intact(final, tool):
                    _clear(final)
                for stale in home.glob(f".partial-{tool.name}-*"):  # left by a process that was killed
                    shutil.rmtree(stale)
                _provide(tool, home, final, progress, building)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ToolError(f"the disk is full: {tool.name} could not be stored in {home}; free space there") from error
        raise
    return final


def _clear(final: Path) -> None:
    """Remove an incomplete folder of a tool; raises `ToolError` where that is not possible."""
    if final.is_symlink():
        final.unlink()
    shutil.rmtree(final, ignore_errors=True)
    if final.exists():
        raise ToolError(
            f"{final} is incomplete or belongs to another user, and cannot be removed; remove it as its owner, then run this again"
        )


def _provide(tool: Tool, home: Path, final: Path, progress: Progress, building: Building) -> None:
    reasons = []
    for source in tool.sources:
        partial = Path(tempfile.mkdtemp(prefix=f".partial-{tool.name}-", dir=home))
        try:
            with progress.step(f"{tool.name} {tool.version}: {source.describe()}", source.estimate) as outcome:
                if isinstance(source, GoModule):
                    building(tool)
                try:
                    source.provide(partial)
                except UnavailableError as unavailable:
                    outcome.text = f"skipped: {unavailable}"
                    raise
                missing = [name for name in tool.programs if not os.access(partial / name, os.X_OK)]
                if missing:
                    raise ToolError(f"the source of {tool.name} {tool.version} has no {', '.join(missing)}")
            partial.chmod(0o755)
            _clear(final)  # a release that this run refuses stays until then: a run that trusts its host needs no other
            partial.rename(final)
            return
        except UnavailableError as unavailable:
            reasons.append(str(unavailable))
        except subprocess.CalledProcessError as error:
            raise ToolError(f"{tool.name} {tool.version}: {error}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    raise ToolError(
        f"no source can provide {tool.name} {tool.version} on this machine; "
        f"{'install that version on PATH, or ' if tool.suitable else ''}correct one of these:\n  - "
        + "\n  - ".join(reasons)
    )
