"""Fetch or build the tools that the tests need, with progress: `python -m tests.support.tools`."""

from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure_all
from scripts.ui.terminal import TERMINAL

ensure_all((*catalog.ENGINE, *catalog.NODE, *catalog.SERVICES, *catalog.LATER, *catalog.MAINTENANCE), TERMINAL)
