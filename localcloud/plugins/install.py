"""Installation of the engine's programs and plugins: stand-ins on every machine, official ones if the user asks for them."""

import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from shlex import quote

from localcloud.errors import ToolError
from localcloud.files import is_script, write_whole
from localcloud.progress import Progress
from localcloud.toolchain.catalog import LANGUAGE_HOST, OFFICIAL_PULUMI, is_official_pulumi
from localcloud.toolchain.engine_plugins import (
    ESTIMATE_SECONDS,
    PLUGINS,
    install_plugin,
    is_usable,
    pinned_checksum,
    plugin_folder,
    plugin_url,
    this_platform,
)
from localcloud.toolchain.sources import UnavailableError
from localcloud.toolchain.store import ensure

ROOT = Path(__file__).parent.parent.parent


def _launcher(plugin: str, extra: str = "") -> str:
    # -P: the engine starts plugins in the project's folder, whose modules they must not import.
    command = f'PYTHONPATH={quote(str(ROOT))} exec {quote(sys.executable)} -P -m localcloud.plugins {plugin} "$@"'
    # Many images set this variable. Each operation would then compile all modules of this project again, in each process.
    return f"#!/bin/sh\nunset PYTHONDONTWRITEBYTECODE\n{extra}{command}\n"


def is_stand_in(home: Path, name: str) -> bool:
    """Tell whether the installed plugin is a stand-in."""
    return is_script(plugin_folder(home, name) / f"pulumi-resource-{name}")


def stand_ins(home: Path) -> list[str] | None:
    """Return the stand-ins in use, for plugins and for the language host; None before `install`."""
    programs = home / "bin"
    if not (programs / LANGUAGE_HOST).exists():
        return None
    names = [name for name in PLUGINS if is_stand_in(home, name)]
    return names if is_official_pulumi(programs) else [*names, "the language host"]


def install(home: Path, programs: Path) -> Path:
    """Install the stand-ins into `home` (`PULUMI_HOME`); return the folder of programs for PATH.

    `programs` is the folder of the engine. Official plugins in `home`, which earlier versions put there, are replaced.
    """
    bin_folder = _install_programs(home, [path for path in programs.glob("pulumi*") if path.name != LANGUAGE_HOST])
    # gRPC's fork handlers would print a warning at each start of the program; it is not needed, as exec follows fork.
    settings = f"export OPSTRACE_LANGUAGE_EXEC={quote(str(programs / 'pulumi-language-python-exec'))}\n"
    settings += "export GRPC_ENABLE_FORK_SUPPORT=false\n"
    write_whole(bin_folder / LANGUAGE_HOST, _launcher("language_host", settings), 0o755)
    for name in PLUGINS:
        folder = plugin_folder(home, name)
        if not is_stand_in(home, name):
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / f"pulumi-resource-{name}", _launcher(name), 0o755)
    return bin_folder


def install_official(home: Path, progress: Progress, *, trust_release_host: bool) -> Path:
    """Install the official plugins and the engine with its own language host into `home`; return the folder for PATH.

    Files without a pinned checksum are used with `trust_release_host` alone, also those that an earlier call fetched. Raises
    `ToolError` where something cannot be fetched; with `trust_release_host` missing, before anything is fetched.
    """
    missing = [name for name in PLUGINS if not is_usable(home, name, is_trusted=trust_release_host)]
    unpinned = [plugin_url(name, this_platform()) for name in missing if not pinned_checksum(name)]
    if unpinned and not trust_release_host:
        raise ToolError(
            f"the official plugins are not used: no pinned checksum for {', '.join(unpinned)}; add --trust-release-host if "
            "you trust what their host sends"
        )
    try:
        programs = ensure(OFFICIAL_PULUMI.trusting_hosts() if trust_release_host else OFFICIAL_PULUMI, progress)
        bin_folder = _install_programs(home, programs.glob("pulumi*"))
        environment = os.environ | {"PULUMI_HOME": str(home)}
        for name in missing:
            folder = plugin_folder(home, name)
            shutil.rmtree(folder, ignore_errors=True)  # the engine would keep what is there
            with progress.step(f"fetching the official {name} plugin", ESTIMATE_SECONDS):
                origin = install_plugin(str(bin_folder / "pulumi"), environment, name, pinned_checksum(name))
            origin.record(folder)
    except (ToolError, UnavailableError) as reason:
        raise ToolError(f"the official plugins and their language host cannot be used: {reason}") from reason
    return bin_folder


def _install_programs(home: Path, programs: Iterable[Path]) -> Path:
    """Install programs into the folder `bin` of `home`, and return that folder."""
    bin_folder = home / "bin"
    bin_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for program in programs:
        _install_program(program, bin_folder / program.name)
    _prevent_command_logs(home)
    return bin_folder


def _prevent_command_logs(home: Path) -> None:
    """Write a file in place of the folder in which the engine would log each command.

    The log has everything that a command compares, compressed and encrypted. Writing it is a third of a preview's work
    (docs/explanation/scale.md). The engine has no setting for it; without the folder it writes none (pkg/v3/logging/encrypted.go). For
    a log use `pulumi --logtostderr -v 9`.
    """
    logs = home / "logs"
    if logs.is_dir():
        shutil.rmtree(logs)
    write_whole(logs, "The engine writes no logs of commands: see localcloud/plugins/install.py.\n", 0o600)


def _install_program(program: Path, target: Path) -> None:
    # A symbolic link would not do: the engine resolves it and looks for its language host beside the original.
    if target.exists() and target.stat().st_mtime_ns == program.stat().st_mtime_ns:
        return
    # Not by `write_whole`: it copies, and a hard link takes no space for a program of over a hundred megabytes.
    partial = target.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    try:
        partial.hardlink_to(program)
    except OSError:  # on another file system
        shutil.copy2(program, partial)
    partial.replace(target)
