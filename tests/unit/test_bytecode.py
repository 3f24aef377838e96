"""The launchers keep compiled modules, also in an image that sets PYTHONDONTWRITEBYTECODE."""

import subprocess
from pathlib import Path

import pytest

from localcloud.plugins import install
from tests.support.shell import ROOT


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder to which Python writes compiled modules, if it writes any."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path / "cache"))
    return tmp_path / "cache"


def compiled(cache: Path, module: str) -> list[str]:
    """Return the compiled files of a module of this project."""
    folder, name = (ROOT / module).parent, Path(module).name
    return [file.name for file in Path(f"{cache}{folder}").glob(f"{name}.*.pyc")]


def test_a_plugin_keeps_its_modules(cache: Path) -> None:
    launcher = cache.parent / "launcher"
    launcher.write_text(install._launcher("random"))
    launcher.chmod(0o700)
    with subprocess.Popen([launcher, "127.0.0.1:1"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout and int(process.stdout.readline())  # prints its port when it serves
        finally:
            process.kill()
    assert compiled(cache, "localcloud/plugins/provider")


def test_the_command_keeps_its_modules(cache: Path) -> None:
    subprocess.run([ROOT / "opstrace", "--help"], check=True, capture_output=True, timeout=120)
    assert compiled(cache, "scripts/cli/main")
