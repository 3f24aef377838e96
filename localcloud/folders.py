"""The user's own folders by the XDG Base Directory Specification, outside of any checkout.

platformdirs ignores relative paths in these variables, and an empty `HOME`. State that was stored with such a value would
no longer be found, so the variables are read here.
"""

import os
from pathlib import Path

APPLICATION = "opstrace"


def _base(variable: str, below_home: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / below_home)


def state_folder() -> Path:
    """Return the folder of data that must be kept; it need not exist yet (`XDG_STATE_HOME`)."""
    return _base("XDG_STATE_HOME", ".local/state") / APPLICATION


def cache_folder() -> Path:
    """Return the folder of data that can be fetched or built again; it need not exist yet (`XDG_CACHE_HOME`)."""
    return _base("XDG_CACHE_HOME", ".cache") / APPLICATION
