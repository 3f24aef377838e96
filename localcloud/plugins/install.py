"""Putting plugins where the engine looks for them: official ones where they can be had, else the stand-ins."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from localcloud.files import is_script, write_whole
from localcloud.toolchain.catalog import LANGUAGE_HOST, is_official_pulumi
from scripts.terminal import note

STAND_INS = ("aws", "kubernetes", "random")
ROOT = Path(__file__).parent.parent.parent
PLUGIN_SERVER = "https://get.pulumi.com"
REACH_SECONDS = 3
DOWNLOAD_SECONDS = 300


def _launcher(plugin: str, extra: str = "") -> str:
    return f'#!/bin/sh\n{extra}PYTHONPATH="{ROOT}" exec "{sys.executable}" -m localcloud.plugins {plugin} "$@"\n'


def plugin_folder(home: Path, name: str) -> Path:
    """Return where the engine with `PULUMI_HOME` `home` expects the plugin for the SDK that is installed."""
    return home / "plugins" / f"resource-{name}-v{version(f'pulumi-{name}')}"


def is_stand_in(home: Path, name: str) -> bool:
    """Tell whether the plugin found there is one of ours."""
    return is_script(plugin_folder(home, name) / f"pulumi-resource-{name}")


def stand_ins(home: Path) -> list[str] | None:
    """Return what there is of ours in place of official plugins and language host; None before `install`."""
    programs = home / "bin"
    if not (programs / LANGUAGE_HOST).exists():
        return None
    ours = [name for name in STAND_INS if is_stand_in(home, name)]
    return ours if is_official_pulumi(programs) else [*ours, "the language host"]


def install(home: Path, programs: Path) -> Path:
    """Fill `home` (`PULUMI_HOME`) with plugins, and return the folder of programs to put on PATH.

    `programs` is the folder of the engine; an official release brings its own language host.
    The official plugins are fetched where their server can be reached, else stand-ins are used.
    """
    bin_folder = home / "bin"
    bin_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    official = is_official_pulumi(programs)
    for program in programs.glob("pulumi*"):
        _place(program, bin_folder / program.name)
    if not official:
        # gRPC's fork handlers print a warning whenever the program is started; no call of ours forks alone.
        settings = f'export OPSTRACE_LANGUAGE_EXEC="{programs / "pulumi-language-python-exec"}"\n'
        settings += "export GRPC_ENABLE_FORK_SUPPORT=false\n"
        host = _launcher("language_host", settings)
        write_whole(bin_folder / LANGUAGE_HOST, host, 0o755)
    _let_no_log_be_written(home)
    missing = [name for name in STAND_INS if is_stand_in(home, name) or not plugin_folder(home, name).exists()]
    if missing and _is_reachable():
        missing = [name for name in missing if not _download(home, programs, name)]
    for name in missing:
        folder = plugin_folder(home, name)
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / f"pulumi-resource-{name}", _launcher(name), 0o755)
    return bin_folder


def _let_no_log_be_written(home: Path) -> None:
    """Put a file where the engine would make a folder for the log that it keeps of each command.

    All that a command compares is written there, compressed and encrypted, which is a third of a preview's work
    (docs/scale.md). There is no setting for it; without a folder it goes on without a log (pkg/v3/logging/encrypted.go).
    `pulumi --logtostderr -v 9` still tells all.
    """
    place = home / "logs"
    if place.is_dir():
        shutil.rmtree(place)
    write_whole(place, "No log of each command is kept here: see localcloud/plugins/install.py.\n", 0o600)


def _place(program: Path, place: Path) -> None:
    # Not a symbolic link: the engine looks for its language host beside the file that it really is.
    if place.exists() and place.stat().st_mtime_ns == program.stat().st_mtime_ns:
        return
    partial = place.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    try:
        partial.hardlink_to(program)
    except OSError:  # on another file system
        shutil.copy2(program, partial)
    partial.replace(place)


def _is_reachable() -> bool:
    try:
        with urlopen(Request(PLUGIN_SERVER, method="HEAD"), timeout=REACH_SECONDS):
            return True
    except HTTPError:  # it answers
        return True
    except OSError:
        return False


def _download(home: Path, programs: Path, name: str) -> bool:
    """Fetch the official plugin; return whether it is there."""
    shutil.rmtree(plugin_folder(home, name), ignore_errors=True)
    command = [str(programs / "pulumi"), "plugin", "install", "resource", name, version(f"pulumi-{name}")]
    environment = os.environ | {"PULUMI_HOME": str(home)}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS)
    except subprocess.TimeoutExpired:
        note(f"  the official {name} plugin cannot be downloaded in {DOWNLOAD_SECONDS} s; a stand-in is used")
        return False
    if done.returncode:
        note(f"  the official {name} plugin cannot be downloaded; a stand-in is used")
    return done.returncode == 0
