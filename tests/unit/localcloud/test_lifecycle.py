"""The folder of the embedded cloud: its mode, its lock, and the administrator's credentials in it."""

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from localcloud import lifecycle
from localcloud.moto.authorization import credentials
from localcloud.node import images, namespaces
from localcloud.progress import SILENT
from localcloud.settings import Settings
from localcloud.toolchain.releases import Release
from localcloud.toolchain.store import Tool

HOLD_LOCK = """
import sys, time
from pathlib import Path
from localcloud import lifecycle
from localcloud.settings import Settings
with lifecycle.locked(Settings(3, Path(sys.argv[1]))):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_folder_that_others_could_read_becomes_private(tmp_path: Path) -> None:
    settings = Settings(3, tmp_path / "home")
    settings.home.mkdir(mode=0o755)
    with lifecycle.locked(settings):
        assert settings.home.stat().st_mode & 0o777 == 0o700


def test_each_start_creates_credentials_that_only_the_owner_can_read(tmp_path: Path) -> None:
    settings = Settings(3, tmp_path / "home")
    settings.node.mkdir(parents=True)
    created = []
    for _ in range(2):
        credentials.draw(settings)
        created.append(credentials.administrator(settings))
        assert settings.aws_credentials.stat().st_mode & 0o777 == 0o600
    assert len({entry["aws_access_key_id"] for entry in created}) == 2
    assert len({entry["aws_secret_access_key"] for entry in created}) == 2
    assert all(len(entry["aws_secret_access_key"]) == 40 for entry in created)
    shell = credentials.variables(settings)
    assert shell == {name.upper(): value for name, value in created[1].items()} | {"AWS_SESSION_TOKEN": ""}


def test_a_second_process_waits_until_the_one_with_the_lock_is_gone(tmp_path: Path) -> None:
    settings = Settings(3, tmp_path / "home")
    holder = subprocess.Popen([sys.executable, "-P", "-c", HOLD_LOCK, str(settings.home)], stdout=subprocess.PIPE)
    assert holder.stdout and holder.stdout.readline() == b"locked\n"
    acquired = threading.Event()

    def wait_for_lock() -> None:
        with lifecycle.locked(settings):
            acquired.set()

    waiting = threading.Thread(target=wait_for_lock)
    waiting.start()
    assert not acquired.wait(0.3)
    holder.kill()
    assert acquired.wait(5)
    waiting.join()
    holder.communicate()


@pytest.mark.parametrize("trust", [False, True])
def test_tools_come_from_releases_without_a_pin_only_if_you_trust_their_hosts(
    tmp_path: Path, trust: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Tool] = []

    class EnoughError(Exception):
        pass

    def ensure_all(tools: Sequence[Tool], progress: object) -> dict[str, Path]:
        asked.extend(tools)
        return {tool.name: tmp_path for tool in tools}

    def stop(programs: dict[str, str]) -> None:
        assert programs == {tool.name: str(tmp_path) for tool in asked}  # images have no other programs
        raise EnoughError

    monkeypatch.setattr(lifecycle, "ensure_all", ensure_all)
    monkeypatch.setattr(lifecycle, "cached", lambda _: None)
    monkeypatch.setattr(namespaces, "require_root", lambda: None)
    monkeypatch.setattr(images, "images", stop)
    with pytest.raises(EnoughError):
        lifecycle.start(Settings(3, tmp_path / "home"), SILENT, trust_release_host=trust)
    releases = [source for tool in asked for source in tool.sources if isinstance(source, Release)]
    assert len(releases) == 4 and {release.is_trusted for release in releases} == {trust}


def test_a_start_takes_the_collector_if_it_is_built_and_never_builds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class EnoughError(Exception):
        pass

    def ensure_all(tools: Sequence[Tool], progress: object) -> dict[str, Path]:
        asked.extend(tool.name for tool in tools)
        return {tool.name: tmp_path for tool in tools}

    def stop(programs: dict[str, str]) -> None:
        assert programs["otelcol"] == str(tmp_path / "otelcol")
        raise EnoughError

    monkeypatch.setattr(lifecycle, "ensure_all", ensure_all)
    monkeypatch.setattr(lifecycle, "cached", lambda tool: tmp_path / tool.name)
    monkeypatch.setattr(namespaces, "require_root", lambda: None)
    monkeypatch.setattr(images, "images", stop)
    with pytest.raises(EnoughError):
        lifecycle.start(Settings(3, tmp_path / "home"), SILENT)
    assert asked and "otelcol" not in asked
