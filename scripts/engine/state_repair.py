"""Repair of the file backend's files after a kill in the middle of a write.

The backend writes a stack's `<stack>.json` and a small `.attrs` beside each file (gocloud's fileblob). The state
before the last write is `<stack>.json.bak` (pulumi/pkg/backend/diy/state.go). The engine reads an empty `.attrs` as
`EOF`, but it does without a missing one.
"""

import json
import socket
import stat
from collections.abc import Mapping
from pathlib import Path

from localcloud.files import write_whole
from scripts.engine.locks import name_of_running

SCHEME = "file://"


def backend_url(environment: Mapping[str, str]) -> str:
    """Return the URL of the backend that the engine uses, '' if neither environment nor login names one.

    `pulumi whoami` prints it too, but fails if the backend's own files are broken. Source of the order:
    pulumi/sdk/go/common/workspace/creds.go, 3.255.
    """
    url = environment.get("PULUMI_BACKEND_URL")
    home = environment.get("PULUMI_HOME") or Path(environment.get("HOME") or "~").expanduser() / ".pulumi"
    folder = Path(environment.get("PULUMI_CREDENTIALS_PATH") or home)
    try:
        return url or str(json.loads((folder / "credentials.json").read_text()).get("current") or "")
    except (OSError, ValueError):
        return ""


def _is_empty(path: Path) -> bool:
    try:
        return not path.read_bytes()
    except OSError:  # absent, or another thread has just repaired it
        return False


def _is_complete(path: Path) -> bool:
    try:
        json.loads(path.read_text())
    except (OSError, ValueError):
        return False
    return True


def _is_locked(locks: Path) -> bool:
    """Tell whether an engine that may be alive holds a lock of the stack. Then it may be writing the files."""
    for lock in locks.glob("*.json"):
        try:
            owner = json.loads(lock.read_text())
        except (OSError, ValueError):
            continue  # truncated too
        if owner.get("hostname") != socket.gethostname() or name_of_running(int(owner.get("pid", 0))):
            return True
    return False


def state_file(url: str, project: str, stack: str) -> Path:
    """Return the path of a stack's state in the local file backend at `url`."""
    return _root(url) / "stacks" / project / f"{stack}.json"


def stacks_with_state(url: str, project: str) -> list[str]:
    """Return the stacks with a state file in the backend at `url`; none where it is no local file backend."""
    if not url.startswith(SCHEME):
        return []
    return sorted(path.stem for path in (_root(url) / "stacks" / project).glob("*.json"))


def _root(url: str) -> Path:
    return Path(url.removeprefix(SCHEME).split("?")[0]).expanduser() / ".pulumi"


def mend(url: str, project: str, stack: str) -> list[str]:
    """Repair the files of a stack in the backend at `url`. Return a sentence for each repair.

    Only files of a local file backend are repaired, and only while no engine holds a lock of the stack.
    """
    if not url.startswith(SCHEME):
        return []
    root = _root(url)
    if _is_locked(root / "locks" / "organization" / project / stack):
        return []
    repairs = []
    state = state_file(url, project, stack)
    backup = state.with_name(state.name + ".bak")
    for side in (root / "meta.yaml.attrs", *(path.with_name(path.name + ".attrs") for path in (state, backup))):
        if _is_empty(side):
            side.unlink(missing_ok=True)
            repairs.append(f"removed {side.name}, which a killed engine left empty")
    if state.exists() and not _is_complete(state) and _is_complete(backup):
        write_whole(state, backup.read_bytes(), stat.S_IMODE(state.stat().st_mode))
        repairs.append(f"restored {state.name} from its backup, because a killed engine left it incomplete")
    return repairs
