"""Where the command keeps what is the user's own and outlives a checkout."""

import os
from pathlib import Path


def state_folder() -> Path:
    """Return the folder, which need not be there yet (XDG Base Directory Specification, `XDG_STATE_HOME`)."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "opstrace"
