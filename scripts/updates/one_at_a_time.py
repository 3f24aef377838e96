"""The lock of commands on several stacks: one at a time for each instance, user and machine.

Other commands and users are kept apart by the engine's lock of each stack. Two of these commands would fail at each other's
locks, one stack after the other, and write into the same log files.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from components.core.errors import UserError
from components.core.timestamps import format_rfc3339
from localcloud.files import write_whole
from localcloud.folders import state_folder
from scripts.engine.state_repair import backend_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def folder_of(instance: str, environment: Mapping[str, str]) -> Path:
    """Return the folder of an instance's lock and logs. Instances of the same name in other backends have other folders."""
    digest = hashlib.sha256(backend_url(environment).encode()).hexdigest()[:8]
    return state_folder() / "updates" / f"{instance}-{digest}"


@contextmanager
def one_at_a_time(instance: str, environment: Mapping[str, str], command: str) -> Iterator[Path]:
    """Hold the lock of an instance while the block runs; yield the folder of the logs.

    `command` is what others are told about this process. Raises `UserError` with the command that has the lock.
    """
    folder = folder_of(instance, environment)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    owner = folder / "running.json"
    lock = FileLock(folder / "lock", timeout=0, mode=0o600, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(_in_words(owner, instance)) from None
    try:
        facts = {"command": command, "pid": os.getpid(), "since": format_rfc3339(int(time.time()))}
        write_whole(owner, json.dumps(facts), 0o600)
        yield folder
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _in_words(owner: Path, instance: str) -> str:
    try:
        facts = json.loads(owner.read_text())
        runs = f"`{facts['command']}` runs since {facts['since']} as process {facts['pid']}"
    except (OSError, ValueError, KeyError):  # it has just begun, or is about to end
        runs = "another command updates them"
    return f"the stacks of {instance} are being updated: {runs}. Wait until it ends, then run this again"
