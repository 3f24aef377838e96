"""Tools: only from a release with the right checksum, and complete or not at all."""

import errno
import hashlib
import io
import json
import os
import re
import stat
import subprocess
import tarfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from components.core.images import CORTEX_IMAGE, ENVOY_IMAGE, LOKI_IMAGE
from localcloud.errors import ToolError
from localcloud.progress import SILENT
from localcloud.toolchain import catalog
from localcloud.toolchain.engine_plugins import PLUGINS, plugin_url, this_platform
from localcloud.toolchain.pin import checksum, pin, plugins, releases
from localcloud.toolchain.releases import RECORD, Release
from localcloud.toolchain.sources import UnavailableError
from localcloud.toolchain.store import Tool, cached, ensure

PROGRAM = b"#!/bin/sh\necho v1\n"


def _release() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        entry = tarfile.TarInfo("tool/tool")
        entry.size = len(PROGRAM)
        tar.addfile(entry, io.BytesIO(PROGRAM))
    return data.getvalue()


def _zip() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("tool-linux-amd64", PROGRAM)
    return data.getvalue()


RELEASE = _release()
CHECKSUM = hashlib.sha256(RELEASE).hexdigest()
FILES = {"/tool.tar.gz": RELEASE, "/tool.zip": _zip(), "/tool-linux-amd64": PROGRAM}


@pytest.fixture
def server(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The URL of a server with `FILES`; the cache of tools is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for path, content in FILES.items():
        httpserver.expect_request(path, method="GET").respond_with_data(content)
    httpserver.expect_request(re.compile("")).respond_with_data(status=404)
    return httpserver.url_for("/").rstrip("/")


def tool(*sources: Release) -> Tool:
    return Tool("tool", "1", ("tool",), sources)


def test_a_release_with_the_pinned_checksum_is_used(server: str) -> None:
    home = ensure(tool(Release(f"{server}/tool.tar.gz", {"tool": "tool/tool"}, CHECKSUM)))
    assert (home / "tool").read_text().endswith("echo v1\n")
    assert sorted(path.name for path in home.iterdir()) == [RECORD, "tool"]


# The layouts of Kubernetes and CoreDNS, of Loki, and of Cortex.
LAYOUTS = {"/tool.tar.gz": "tool/tool", "/tool.zip": "tool-linux-amd64", "/tool-linux-amd64": ""}


@pytest.mark.parametrize("path", LAYOUTS)
def test_a_release_of_each_layout_in_use_is_unpacked_to_a_program_that_runs(server: str, path: str) -> None:
    checksum = hashlib.sha256(FILES[path]).hexdigest()
    home = ensure(tool(Release(f"{server}{path}", {"tool": LAYOUTS[path]}, checksum)))
    assert subprocess.run([home / "tool"], capture_output=True, text=True, check=True).stdout == "v1\n"


@pytest.mark.parametrize("path", ["/tool.tar.gz", "/tool.zip"])
def test_a_release_with_another_layout_is_refused(server: str, path: str) -> None:
    checksum = hashlib.sha256(FILES[path]).hexdigest()
    with pytest.raises(ToolError, match="has no other/tool: its layout differs"):
        ensure(tool(Release(f"{server}{path}", {"tool": "other/tool"}, checksum)))


def test_a_release_with_another_checksum_is_refused_and_nothing_is_kept(server: str, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="nothing of it was used"):
        ensure(tool(Release(f"{server}/tool.tar.gz", {"tool": "tool/tool"}, "0" * 64)))
    assert not list((tmp_path / "opstrace" / "tools").glob("tool-*"))
    assert not list((tmp_path / "opstrace" / "tools").glob(".partial*"))


def test_a_release_without_a_pinned_checksum_is_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="no pinned checksum for http"):
        Release("http://127.0.0.1:1/tool", {"tool": ""}).provide(tmp_path)


def test_the_next_source_is_tried_after_one_that_is_unavailable(server: str) -> None:
    missing = Release(f"{server}/none.tar.gz", {"tool": "tool/tool"}, CHECKSUM)
    available = Release(f"{server}/tool.tar.gz", {"tool": "tool/tool"}, CHECKSUM)
    assert ensure(tool(missing, available)).is_dir()


def test_the_error_has_the_reason_of_every_source(server: str) -> None:
    with pytest.raises(ToolError, match=r"none\.tar\.gz answered 404"):
        ensure(tool(Release(f"{server}/none.tar.gz", {"tool": ""}, CHECKSUM)))


def test_leftovers_of_a_killed_run_are_removed(server: str, tmp_path: Path) -> None:
    left = tmp_path / "opstrace" / "tools" / ".partial-tool-killed"
    left.mkdir(parents=True)
    ensure(tool(Release(f"{server}/tool.tar.gz", {"tool": "tool/tool"}, CHECKSUM)))
    assert not left.exists()


def test_releases_are_pinned_all_or_none(server: str, tmp_path: Path) -> None:
    file = tmp_path / "checksums.json"
    assert pin([f"{server}/tool.tar.gz", f"{server}/none"], checksum, file) and not file.exists()
    assert pin([f"{server}/tool.tar.gz"], checksum, file) == []
    assert json.loads(file.read_text())[f"{server}/tool.tar.gz"]["sha256"] == CHECKSUM
    assert len(releases()) == 5


def test_every_plugin_is_pinned_for_each_platform() -> None:
    assert len(plugins()) == len({*plugins()}) == 12
    assert {plugin_url(name, this_platform()) for name in PLUGINS} <= {*plugins()}


@dataclass(frozen=True)
class Slow:
    """A source that is slow, and counts how often it provides."""

    provided: list[int]
    estimate: float = 1
    fault: int | None = None

    def fingerprint(self) -> str:
        return "slow"

    def describe(self) -> str:
        return "taking its time"

    def provide(self, folder: Path) -> None:
        self.provided.append(1)
        time.sleep(0.3)
        (folder / "tool").write_text("half")
        if self.fault:
            raise OSError(self.fault, os.strerror(self.fault))
        (folder / "tool").chmod(0o755)


def test_two_at_once_do_the_work_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    provided: list[int] = []
    slow_tool = Tool("tool", "1", ("tool",), (Slow(provided),))
    with ThreadPoolExecutor(2) as pool:
        folders = {*pool.map(ensure, [slow_tool, slow_tool])}
    assert len(folders) == len(provided) == 1


class Notes:
    """A progress reporter that keeps the notes."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)

    step = staticmethod(SILENT.step)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "opstrace" / "tools"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_owner_can_read_the_cache(home: Path) -> None:
    before = os.umask(0)
    try:
        ensure(Tool("tool", "1", ("tool",), (Slow([]),)))
    finally:
        os.umask(before)
    assert [mode(path) for path in (home, home.parent, home.parent.parent, home / ".locks")] == [0o700] * 4


@pytest.mark.parametrize("wrong", [0o777, 0o720, 0o702])
def test_the_mode_of_a_cache_that_others_could_write_is_corrected_with_a_note(home: Path, wrong: int) -> None:
    provided: list[int] = []
    slow_tool = Tool("tool", "1", ("tool",), (Slow(provided),))
    ensure(slow_tool)
    for path in (home, home.parent):
        path.chmod(wrong)
    for count in (2, 0):  # the second call has nothing to correct
        notes = Notes()
        ensure(slow_tool, notes)
        assert [f"{wrong:04o}" in text for text in notes.texts] == [True] * count
    assert mode(home) == mode(home.parent) == 0o700 and len(provided) == 1


@pytest.mark.parametrize("planted", ["of another user", "that others may write", "that is a link"])
def test_a_tool_that_another_user_may_have_planted_is_not_run(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, planted: str
) -> None:
    provided: list[int] = []
    slow_tool = Tool("tool", "1", ("tool",), (Slow(provided),))
    final = ensure(slow_tool)
    (final / "tool").write_text("planted")
    if planted == "that others may write":
        final.chmod(0o757)
    elif planted == "that is a link":
        final.symlink_to(final.rename(tmp_path / "elsewhere"))
    elif os.geteuid() == 0:
        os.chown(final, 12345, -1)
    else:  # only root can give a folder away
        with monkeypatch.context() as patch:
            patch.setattr(os, "geteuid", lambda: 12345)
            assert cached(slow_tool) is None
        final.chmod(0o757)
    assert cached(slow_tool) is None
    assert (ensure(slow_tool) / "tool").read_text() == "half" and len(provided) == 2 and not final.is_symlink()


def test_a_cache_of_another_user_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir(parents=True)
    if os.geteuid() == 0:
        os.chown(home.parent, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(ToolError, match="belongs to the user"):
        ensure(Tool("tool", "1", ("tool",), (Slow([]),)))


def test_a_full_disk_is_reported_and_leaves_no_incomplete_tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ToolError, match="the disk is full"):
        ensure(Tool("tool", "1", ("tool",), (Slow([], fault=errno.ENOSPC),)))
    assert [path.name for path in (tmp_path / "opstrace" / "tools").iterdir()] == [".locks"]


def test_the_cluster_s_images_are_of_the_versions_that_the_program_names() -> None:
    assert CORTEX_IMAGE.endswith(f":v{catalog.CORTEX.version}")
    assert LOKI_IMAGE.endswith(f":{catalog.LOKI.version}")
    assert ENVOY_IMAGE.endswith(f":v{catalog.ENVOY.version}")


def test_the_first_create_waits_for_no_tool_that_only_tests_need() -> None:
    needed = (*catalog.ENGINE, *catalog.NODE, *catalog.SERVICES, *catalog.AWS)
    assert not {tool.name for tool in needed} & {tool.name for tool in catalog.MAINTENANCE}
    assert catalog.OTELCOL in catalog.LATER and catalog.OTELCOL not in needed


def test_a_stand_in_language_host_on_path_is_no_official_release(tmp_path: Path) -> None:
    host = tmp_path / "pulumi-language-python"
    assert not catalog.is_official_pulumi(tmp_path)
    host.write_bytes(b"\x7fELF")
    assert catalog.is_official_pulumi(tmp_path)
    host.write_text("#!/bin/sh\n")
    assert not catalog.is_official_pulumi(tmp_path)
