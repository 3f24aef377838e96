"""Fetch or build the big tools that the tests need: `python -m tests.tools`, which shows how far it is; a test cannot."""

from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure

for tool in (*catalog.ENGINE, *catalog.NODE, *catalog.SERVICES, catalog.PROMETHEUS):
    ensure(tool)
