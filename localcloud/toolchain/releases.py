"""Official releases of tools, each checked by its SHA-256 before anything of it is used.

The checksum is pinned in `checksums.json`. A release without a pin is used only if the user trusts its host, by
`--trust-release-host`. Then it is compared with the list of checksums that the publisher keeps beside it. That finds damage,
but no attack: whoever can replace the file can replace the list. No signature of a publisher is verified here;
docs/reference/supply-chain.md says which publisher has one.
"""

import gzip
import json
import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localcloud.errors import ToolError
from localcloud.files import write_whole
from localcloud.toolchain.download import download
from localcloud.toolchain.sources import UnavailableError

CHECKSUMS = Path(__file__).parent / "checksums.json"
RECORD = ".release.json"
"""The file beside the programs of a release that names its URL and SHA-256."""
SHA256 = "[0-9a-f]{64}"
BROKEN = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError)


def pinned_checksums() -> dict[str, str]:
    """Return the SHA-256, in hex, of every file that is pinned, by its URL."""
    pins: dict[str, dict[str, str]] = json.loads(CHECKSUMS.read_text())
    return {url: pin["sha256"] for url, pin in pins.items()}


def fetch(url: str, checksum: str, into: Path, where: str = "is pinned") -> None:
    """Write the file at `url` to `into`; raises `UnavailableError`, and `ToolError` where its SHA-256 differs.

    `where` says where `checksum` comes from, for the error.
    """
    digest = download(url, into)
    if digest != checksum:
        into.unlink()
        raise ToolError(
            f"{url} has the SHA-256 {digest}, but {checksum} {where}: the file was changed or damaged on its way; "
            "nothing of it was used; try again, or compare the checksum with the publisher's"
        )


def listed_checksum(list_url: str, name: str, folder: Path) -> str:
    """Return the SHA-256, in hex, that a publisher's list has for the file `name`; `folder` is for temporary files.

    A list has lines in the form of `sha256sum`, or consists of one checksum. Raises `UnavailableError` where it has none.
    """
    file = folder / "checksums"
    download(list_url, file)
    text = file.read_text(errors="replace")
    file.unlink()
    line = re.fullmatch(rf"({SHA256})\s*", text) or re.search(
        rf"^({SHA256})\s+\*?(\./)?{re.escape(name)}$", text, re.MULTILINE
    )
    if not line:
        raise UnavailableError(f"{list_url} has no SHA-256 of {name}")
    return line[1]


@dataclass(frozen=True)
class Origin:
    """The file that programs come from."""

    url: str
    sha256: str

    def record(self, folder: Path) -> None:
        """Write the origin beside the programs in `folder`."""
        write_whole(folder / RECORD, json.dumps({"url": self.url, "sha256": self.sha256}))

    @classmethod
    def of(cls, folder: Path) -> "Origin | None":
        """Return the recorded origin of the programs in `folder`; None where none is recorded: they come from elsewhere."""
        try:
            entry = json.loads((folder / RECORD).read_text())
            return cls(entry["url"], entry["sha256"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):  # damaged: it is the origin of nothing that is used
            return cls("", "")

    def is_usable(self, url: str, pinned: str | None, *, is_trusted: bool) -> bool:
        """Tell whether what came from here may be used now as the file at `url`: with its pin, or without one by trust."""
        return self.url == url and (self.sha256 == pinned if pinned else is_trusted)


@dataclass(frozen=True)
class Release:
    """An official release file: a .tar.gz, a .zip, or the program itself.

    `programs` maps a program's name to its path in the archive; the path is empty if the file is the program. `listed` is the
    URL of the publisher's list of checksums. A release whose SHA-256 is not pinned is used only if its host `is_trusted`.
    """

    url: str
    programs: Mapping[str, str]
    sha256: str | None = None
    estimate: float = 30
    listed: str | None = None
    is_trusted: bool = False

    def pinned(self) -> str | None:
        """Return the pinned SHA-256, in hex."""
        return self.sha256 or pinned_checksums().get(self.url)

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.url.rsplit("/", 1)[-1]

    def fingerprint(self) -> str:
        """Return a text that changes when the programs of this source change.

        Neither a pin in `checksums.json` nor trust changes it: programs that were built from source stay valid. Those of a
        release are compared with both by `accepts`.
        """
        return f"release {self.url} {self.sha256} {sorted(self.programs.items())}"

    def accepts(self, origin: Origin) -> bool:
        """Tell whether programs that were fetched before, from `origin`, may be used now."""
        return origin.is_usable(self.url, self.pinned(), is_trusted=self.is_trusted)

    def describe(self) -> str:
        """Return what `provide` does, for a progress line."""
        unpinned = ", without a pinned checksum" if self.is_trusted and not self.pinned() else ""
        return f"fetching the release {self.name}{unpinned}"

    def provide(self, folder: Path) -> None:
        """Fetch the file, check its SHA-256 and extract the programs into `folder`; raises as `Source.provide` does."""
        checksum, where = self.pinned(), "is pinned"
        if not checksum and self.is_trusted and self.listed:
            checksum, where = listed_checksum(self.listed, self.name, folder), f"is in {self.listed}"
        if not checksum:
            raise UnavailableError(f"no pinned checksum for {self.url}")
        archive = folder / "download"
        fetch(self.url, checksum, archive, where)
        self._extract(archive, folder)
        archive.unlink()
        Origin(self.url, checksum).record(folder)

    def _extract(self, archive: Path, folder: Path) -> None:
        """Write the programs into `folder`; raises `ToolError` where the archive is broken, or lacks one."""
        wanted = {member: folder / name for name, member in self.programs.items()}
        try:
            if "" in wanted:
                shutil.copyfile(archive, wanted[""])
            elif self.name.endswith(".zip"):
                _unzip(archive, wanted)
            else:
                _untar(archive, wanted)
        except BROKEN as error:
            raise ToolError(f"{self.url} cannot be unpacked: {error}; its publisher's file is broken") from error
        for member, target in wanted.items():
            if not target.exists():
                raise ToolError(f"{self.url} has no {member}: its layout differs from the expected one")
            target.chmod(0o755)


def _unzip(archive: Path, wanted: Mapping[str, Path]) -> None:
    with zipfile.ZipFile(archive) as files:
        for entry in files.infolist():
            if entry.filename in wanted:
                with files.open(entry) as source, wanted[entry.filename].open("wb") as out:
                    shutil.copyfileobj(source, out)


def _untar(archive: Path, wanted: Mapping[str, Path]) -> None:
    with tarfile.open(archive) as tar:
        for entry in tar:  # in one pass: going back means to decompress from the start
            source = tar.extractfile(entry) if entry.isreg() and entry.name in wanted else None
            if source:
                with source, wanted[entry.name].open("wb") as out:
                    shutil.copyfileobj(source, out)
