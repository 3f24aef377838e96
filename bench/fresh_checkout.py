"""A clone of this checkout's commit with empty caches, as on a new machine."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.stackfile.file import ROOT

SLOT = "5"


@contextmanager
def fresh_checkout() -> Iterator[tuple[Path, dict[str, str]]]:
    """Clone the commit into a folder; yield the clone, and an environment whose caches and state are empty folders beside it.

    Tools on PATH are used as always. Everything is removed afterwards.
    """
    with tempfile.TemporaryDirectory(prefix="fresh", ignore_cleanup_errors=True) as folder:
        clone, cache = Path(folder) / "checkout", Path(folder) / "cache"
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)], check=True)
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment |= {
            "XDG_CACHE_HOME": str(cache),  # of the tools, pip and uv
            "XDG_STATE_HOME": str(Path(folder) / "state"),
            "GOCACHE": str(cache / "go-build"),
            "GOMODCACHE": str(cache / "go-modules"),
            "OPSTRACE_LOCAL_SLOT": SLOT,
        }
        yield clone, environment
