"""Pins the SHA-256 of every official release in `checksums.json`: `python -m localcloud.toolchain.pin`.

For a maintainer whose machine reaches the releases, once a version: compare what it writes with the publishers'
own lists before it is committed, for from then on every user's machine trusts it.
"""

import json
import sys
import tempfile
from pathlib import Path

from localcloud.toolchain import catalog
from localcloud.toolchain.sources import CHECKSUMS, Release, Unavailable, download


def releases() -> list[str]:
    """Return the URL of every release in the catalog."""
    tools = (*catalog.ENGINE, *catalog.NODE, *catalog.SERVICES)
    return [source.url for tool in tools for source in tool.sources if isinstance(source, Release)]


def pin(urls: list[str], into: Path) -> list[str]:
    """Write the checksums of what `urls` answer to the file `into`; return why any of them is not pinned."""
    pinned, problems = {}, []
    for url in urls:
        with tempfile.TemporaryDirectory() as folder:
            try:
                pinned[url] = download(url, Path(folder) / "release")
            except Unavailable as reason:
                problems.append(str(reason))
    if not problems:
        into.write_text(json.dumps(pinned, indent=2, sort_keys=True) + "\n")
    return problems


if __name__ == "__main__":
    if found := pin(releases(), CHECKSUMS):
        sys.exit("nothing is pinned:\n  - " + "\n  - ".join(found))
