"""Pins the files that do not come from package indexes: `python -m localcloud.toolchain.pin`.

Writes the SHA-256 of every official release and plugin to `checksums.json`, and the digest of every image to
`components/core/image_digests.json`. A maintainer runs it once for each version, on a machine that reaches the releases and
the registries. Each release is compared with its publisher's list of checksums, and with an earlier pin of the same file.
docs/reference/supply-chain.md says how to verify the signatures of the lists: every user trusts the pins from then on.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from components.core.images import DIGESTS_FILE, IMAGES
from localcloud.errors import ToolError
from localcloud.files import write_whole
from localcloud.toolchain import catalog, registry
from localcloud.toolchain.download import download
from localcloud.toolchain.engine_plugins import PLATFORMS, PLUGINS, plugin_url
from localcloud.toolchain.releases import CHECKSUMS, Release, listed_checksum, pinned_checksums
from localcloud.toolchain.sources import UnavailableError


def releases() -> dict[str, Release]:
    """Return every release in the catalog by its URL."""
    tools = (*catalog.ENGINE, *catalog.NODE, *catalog.SERVICES)
    return {source.url: source for tool in tools for source in tool.sources if isinstance(source, Release)}


def plugins() -> list[str]:
    """Return the URL of every plugin for each platform."""
    return [plugin_url(name, platform) for name in PLUGINS for platform in PLATFORMS]


def checksum(url: str, listed: str | None = None) -> dict[str, str]:
    """Return the SHA-256, in hex, of the file at `url`, and how it was found.

    Raises `UnavailableError`, and `ToolError` where it differs from the list at the URL `listed`, or from an earlier pin.
    """
    with tempfile.TemporaryDirectory() as folder:
        digest = download(url, Path(folder) / "release")
        expected = listed_checksum(listed, url.rsplit("/", 1)[-1], Path(folder)) if listed else digest
    for known, where in ((expected, listed), (pinned_checksums().get(url, digest), "checksums.json")):
        if known != digest:
            raise ToolError(f"{url} has the SHA-256 {digest}, but {where} has {known}; find out why before you pin it")
    return {
        "sha256": digest,
        "source": f"fetched, and the same in {listed}" if listed else "fetched; no list to compare",
    }


def pin(names: Iterable[str], find: Callable[[str], Any], into: Path) -> list[str]:
    """Write the result of `find` for each of the names to the file `into`; return the reasons for those without one.

    With any such reason the file stays as it was.
    """
    pinned, problems = {}, []
    for name in names:
        try:
            pinned[name] = find(name)
        except (UnavailableError, ToolError) as reason:
            problems.append(str(reason))
    if not problems:
        write_whole(into, json.dumps(pinned, indent=2, sort_keys=True) + "\n")
    return problems


def main() -> None:
    """Pin both kinds, and print the reasons for a file that stays as it was."""
    lists = {url: release.listed for url, release in releases().items()}
    kinds: tuple[tuple[list[str], Callable[[str], Any], Path], ...] = (
        ([*lists, *plugins()], lambda url: checksum(url, lists.get(url)), CHECKSUMS),
        ([*IMAGES], registry.digest, DIGESTS_FILE),
    )
    failed = False
    for names, find, into in kinds:
        if problems := pin(names, find, into):
            failed = True
            print(f"{into.name} stays as it was:\n  - " + "\n  - ".join(problems), file=sys.stderr)
        else:
            print(f"{into.name} is written: {len(names)} entries", file=sys.stderr)
    sys.exit(failed)


if __name__ == "__main__":
    main()
