"""The file backend's files after a kill in the middle of a write: mended by what lies beside them.

The backend writes a stack's `<stack>.json` and, for each file, a small `.attrs` beside it (gocloud's fileblob); the state
before the last write is `<stack>.json.bak` (pulumi/pkg/backend/diy/state.go). An empty `.attrs` is read as `EOF`; one
that is not there is as good as a full one.
"""

import json
import os
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path

import psutil

SCHEME = "file://"


def backend_url(environment: Mapping[str, str]) -> str:
    """Return the URL of the backend that the engine uses, '' where nothing says it.

    `pulumi whoami` says it too, but not where the files that are to be mended are its own. Source:
    pulumi/sdk/go/common/workspace/creds.go, 3.255.
    """
    given = environment.get("PULUMI_BACKEND_URL")
    home = environment.get("PULUMI_HOME") or Path(environment.get("HOME") or "~").expanduser() / ".pulumi"
    folder = Path(environment.get("PULUMI_CREDENTIALS_PATH") or home)
    try:
        return given or str(json.loads((folder / "credentials.json").read_text()).get("current") or "")
    except (OSError, ValueError):
        return ""


def _is_empty(path: Path) -> bool:
    try:
        return not path.read_bytes()
    except OSError:  # not there, or mended by another thread just now
        return False


def _is_whole(path: Path) -> bool:
    try:
        json.loads(path.read_text())
    except (OSError, ValueError):
        return False
    return True


def _is_held(locks: Path) -> bool:
    """Tell whether an engine that may be alive has one of the stack's locks: then it is at work on the files."""
    for lock in locks.glob("*.json"):
        try:
            owner = json.loads(lock.read_text())
        except (OSError, ValueError):
            continue  # cut off too
        if owner.get("hostname") != socket.gethostname() or psutil.pid_exists(int(owner.get("pid", 0))):
            return True
    return False


def state_file(url: str, project: str, stack: str) -> Path:
    """Return where the local file backend at `url` keeps the state of a stack."""
    return _root(url) / "stacks" / project / f"{stack}.json"


def _root(url: str) -> Path:
    return Path(url.removeprefix(SCHEME).split("?")[0]).expanduser() / ".pulumi"


def mend(url: str, project: str, stack: str) -> list[str]:
    """Mend the files of a stack in the backend at `url`; return what was done, in words, nothing where nothing is broken.

    Only a local file backend's, and only while no engine has the stack.
    """
    if not url.startswith(SCHEME):
        return []
    root = _root(url)
    if _is_held(root / "locks" / "organization" / project / stack):
        return []
    done = []
    state = state_file(url, project, stack)
    backup = state.with_name(state.name + ".bak")
    for side in (root / "meta.yaml.attrs", *(path.with_name(path.name + ".attrs") for path in (state, backup))):
        if _is_empty(side):
            side.unlink(missing_ok=True)
            done.append(f"{side.name}, which a killed engine left empty, is removed")
    if state.exists() and not _is_whole(state) and _is_whole(backup):
        partial = state.with_name(state.name + ".mending")
        shutil.copyfile(backup, partial)
        os.replace(partial, state)
        done.append(f"{state.name}, which a killed engine left cut off, is as it was one step before")
    return done
