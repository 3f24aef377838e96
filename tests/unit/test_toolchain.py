"""Tools: from a release with the right checksum, never with a wrong one, whole or not at all."""

import errno
import hashlib
import io
import json
import os
import subprocess
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from components.versions import CORTEX_IMAGE, ENVOY_IMAGE, LOKI_IMAGE
from localcloud.errors import ToolError
from localcloud.toolchain import catalog
from localcloud.toolchain.pin import pin, releases
from localcloud.toolchain.sources import Release, Unavailable
from localcloud.toolchain.store import Tool, ensure

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
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = FILES.get(self.path)
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, *arguments: object) -> None:
            pass

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()


def tool(*sources: Release) -> Tool:
    return Tool("tool", "1", ("tool",), sources)


def test_a_release_with_the_pinned_checksum_is_used(server: str) -> None:
    home = ensure(tool(Release(f"{server}/tool.tar.gz", {"tool": "tool/tool"}, CHECKSUM)))
    assert (home / "tool").read_text().endswith("echo v1\n")
    assert [path.name for path in home.iterdir()] == ["tool"]


# As Kubernetes and CoreDNS, as Loki and as Cortex publish theirs.
LAYOUTS = {"/tool.tar.gz": "tool/tool", "/tool.zip": "tool-linux-amd64", "/tool-linux-amd64": ""}


@pytest.mark.parametrize("path", LAYOUTS)
def test_a_release_of_each_layout_in_use_is_unpacked_to_a_program_that_runs(server: str, path: str) -> None:
    checksum = hashlib.sha256(FILES[path]).hexdigest()
    home = ensure(tool(Release(f"{server}{path}", {"tool": LAYOUTS[path]}, checksum)))
    assert subprocess.run([home / "tool"], capture_output=True, text=True).stdout == "v1\n"


@pytest.mark.parametrize("path", ["/tool.tar.gz", "/tool.zip"])
def test_a_release_that_is_laid_out_otherwise_is_refused(server: str, path: str) -> None:
    checksum = hashlib.sha256(FILES[path]).hexdigest()
    with pytest.raises(ToolError, match="holds no other/tool: it is not laid out as expected"):
        ensure(tool(Release(f"{server}{path}", {"tool": "other/tool"}, checksum)))


def test_a_release_with_another_checksum_is_refused_and_nothing_is_kept(server: str, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="nothing of it was used"):
        ensure(tool(Release(f"{server}/tool.tar.gz", {"tool": "tool/tool"}, "0" * 64)))
    assert not list((tmp_path / "opstrace" / "tools").glob("tool-*"))
    assert not list((tmp_path / "opstrace" / "tools").glob(".partial*"))


def test_a_release_without_a_pinned_checksum_is_not_even_fetched(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no checksum"):
        Release("http://127.0.0.1:1/tool", {"tool": ""}).provide(tmp_path)


def test_the_next_source_is_tried_where_one_has_nothing(server: str) -> None:
    missing = Release(f"{server}/none.tar.gz", {"tool": "tool/tool"}, CHECKSUM)
    there = Release(f"{server}/tool.tar.gz", {"tool": "tool/tool"}, CHECKSUM)
    assert ensure(tool(missing, there)).is_dir()


def test_where_no_source_has_it_every_reason_is_told(server: str) -> None:
    with pytest.raises(ToolError, match=r"none\.tar\.gz answered 404"):
        ensure(tool(Release(f"{server}/none.tar.gz", {"tool": ""}, CHECKSUM)))


def test_what_a_killed_run_left_is_removed(server: str, tmp_path: Path) -> None:
    left = tmp_path / "opstrace" / "tools" / ".partial-tool-killed"
    left.mkdir(parents=True)
    ensure(tool(Release(f"{server}/tool.tar.gz", {"tool": "tool/tool"}, CHECKSUM)))
    assert not left.exists()


def test_releases_are_pinned_all_or_none(server: str, tmp_path: Path) -> None:
    file = tmp_path / "checksums.json"
    assert pin([f"{server}/tool.tar.gz", f"{server}/none"], file) and not file.exists()
    assert pin([f"{server}/tool.tar.gz"], file) == []
    assert json.loads(file.read_text()) == {f"{server}/tool.tar.gz": CHECKSUM}
    assert len(releases()) == 5


@dataclass(frozen=True)
class Slow:
    """A source that takes its time, and counts how often it is asked."""

    asked: list[int]
    estimate: float = 1
    fault: int | None = None

    def fingerprint(self) -> str:
        return "slow"

    def describe(self) -> str:
        return "taking its time"

    def provide(self, folder: Path) -> None:
        self.asked.append(1)
        time.sleep(0.3)
        (folder / "tool").write_text("half")
        if self.fault:
            raise OSError(self.fault, os.strerror(self.fault))
        (folder / "tool").chmod(0o755)


def test_two_at_once_do_the_work_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    asked: list[int] = []
    wanted = Tool("tool", "1", ("tool",), (Slow(asked),))
    with ThreadPoolExecutor(2) as pool:
        folders = {*pool.map(ensure, [wanted, wanted])}
    assert len(folders) == len(asked) == 1


def test_a_full_disk_is_told_and_leaves_no_half_tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ToolError, match="the disk is full"):
        ensure(Tool("tool", "1", ("tool",), (Slow([], fault=errno.ENOSPC),)))
    assert [path.name for path in (tmp_path / "opstrace" / "tools").iterdir()] == [".locks"]


def test_the_cluster_s_images_are_of_the_versions_that_the_program_names() -> None:
    assert CORTEX_IMAGE.endswith(f":v{catalog.CORTEX.version}")
    assert LOKI_IMAGE.endswith(f":{catalog.LOKI.version}")
    assert ENVOY_IMAGE.endswith(f":v{catalog.ENVOY.version}")


def test_our_own_language_host_on_path_is_not_taken_for_an_official_release(tmp_path: Path) -> None:
    host = tmp_path / "pulumi-language-python"
    assert not catalog.is_official_pulumi(tmp_path)
    host.write_bytes(b"\x7fELF")
    assert catalog.is_official_pulumi(tmp_path)
    host.write_text("#!/bin/sh\n")
    assert not catalog.is_official_pulumi(tmp_path)
