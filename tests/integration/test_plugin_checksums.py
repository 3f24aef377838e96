"""Plugins by the real engine: a plugin with another checksum than the pinned one is not installed."""

import hashlib
import io
import json
import os
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from components.core.errors import UserError
from localcloud.errors import ToolError
from localcloud.toolchain import catalog, releases
from localcloud.toolchain import engine_plugins as plugins
from localcloud.toolchain.engine_plugins import plugin_folder, plugin_url, require_plugins, this_platform
from localcloud.toolchain.store import ensure
from scripts.engine.pulumi import Engine
from scripts.ui.terminal import TERMINAL
from tests.support.ports import free_port


def archive() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        program = b"#!/bin/sh\n"
        entry = tarfile.TarInfo("pulumi-resource-random")
        entry.size, entry.mode = len(program), 0o755
        tar.addfile(entry, io.BytesIO(program))
    return data.getvalue()


ARCHIVE = archive()


@dataclass
class Server:
    """The server of plugins; `home` has all plugins but one."""

    http: HTTPServer
    programs: Path
    home: Path
    environment: dict[str, str]

    @property
    def requested(self) -> list[str]:
        """Return the paths of the requests so far."""
        return [request.path for request, _ in self.http.log]

    @property
    def pulumi(self) -> str:
        return str(self.programs / "pulumi")

    @property
    def installed(self) -> bool:
        return plugin_folder(self.home, "random").exists()


@pytest.fixture
def server(httpserver: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    programs, home = ensure(catalog.PULUMI), tmp_path / "pulumi"
    for name in ("aws", "kubernetes"):
        plugin_folder(home, name).mkdir(parents=True)
    url = httpserver.url_for("/").rstrip("/")
    for name, value in {
        "PULUMI_HOME": str(home),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(plugins, "SERVER", url)
    httpserver.expect_request(re.compile("")).respond_with_data(ARCHIVE)
    return Server(httpserver, programs, home, dict(os.environ))


def pinned(monkeypatch: pytest.MonkeyPatch, folder: Path, checksum: str | None) -> None:
    file = folder / "checksums.json"
    pins = {plugin_url("random", this_platform()): {"sha256": checksum, "source": "test"}} if checksum else {}
    file.write_text(json.dumps(pins))
    monkeypatch.setattr(releases, "CHECKSUMS", file)


def test_a_plugin_with_the_pinned_checksum_is_installed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned(monkeypatch, tmp_path, hashlib.sha256(ARCHIVE).hexdigest())
    require_plugins(server.pulumi, server.environment, TERMINAL)
    assert (plugin_folder(server.home, "random") / "pulumi-resource-random").exists()
    assert server.requested == [f"/{plugin_url('random', this_platform()).rsplit('/', 1)[-1]}"]


def test_a_plugin_with_another_checksum_is_refused_before_the_engine_works(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned(monkeypatch, tmp_path, "0" * 64)
    with pytest.raises(ToolError, match="is pinned: the file was changed or damaged"):
        Engine(server.environment, "showdown").run("up", "--yes")
    assert len(server.requested) == 1 and not server.installed


def test_a_plugin_without_a_pinned_checksum_is_named(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pinned(monkeypatch, tmp_path, None)
    require_plugins(server.pulumi, server.environment, TERMINAL)
    shown = capsys.readouterr().err
    assert "the random plugin" in shown and f"no pinned checksum for {this_platform()}" in shown
    assert server.requested == []


def test_a_pinned_plugin_that_cannot_be_fetched_ends_the_command_with_the_remedy(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "SERVER", f"http://127.0.0.1:{free_port()}")
    pinned(monkeypatch, tmp_path, "0" * 64)
    with pytest.raises(UserError, match=r"cannot be reached: .* install it into .* by `pulumi plugin install`"):
        require_plugins(server.pulumi, server.environment, TERMINAL)
