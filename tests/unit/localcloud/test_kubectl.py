"""The `kubectl` beside the engine: from the tool that this run may use, or the user's own."""

from dataclasses import replace
from pathlib import Path

import pytest

from localcloud import cloud, lifecycle
from localcloud.settings import Settings, UserCluster
from localcloud.toolchain import catalog, releases
from localcloud.toolchain.releases import Origin, Release
from localcloud.toolchain.store import Tool, cache_home

CLUSTER = UserCluster("kind", "/kubeconfig", "https://192.0.2.1", "https://oidc", ["192.0.2.2"], "192.0.2.3")


class Build:
    """Builds `kubectl` from source."""

    estimate = 1.0

    def fingerprint(self) -> str:
        return "build"

    def describe(self) -> str:
        return "building it"

    def provide(self, folder: Path) -> None:
        (folder / "kubectl").write_text("built")
        (folder / "kubectl").chmod(0o755)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A cloud that runs; the cache has a release of Kubernetes that was fetched without a pin."""
    settings = Settings(3, tmp_path / "home")
    (settings.engine_home / "bin").mkdir(parents=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(releases, "CHECKSUMS", tmp_path / "checksums.json")
    releases.CHECKSUMS.write_text("{}")
    release = Release("http://127.0.0.1:9/kubectl", {"kubectl": ""})
    tool = Tool("kubernetes", "1", ("kubectl",), (release, Build()))
    monkeypatch.setattr(catalog, "KUBERNETES", tool)
    fetched = cache_home() / f"{tool.name}-{tool.version}-{tool.key()}"
    fetched.mkdir(parents=True, mode=0o700)
    (fetched / "kubectl").write_text("fetched")
    Origin(release.url, "0" * 64).record(fetched)
    monkeypatch.setattr(cloud, "settings_from_environment", lambda: settings)
    monkeypatch.setattr(lifecycle, "is_ready", lambda _: True)
    monkeypatch.setattr(lifecycle, "start", lambda *_, **__: None)
    monkeypatch.setattr(cloud, "prepare_engine", lambda *_, **__: None)
    return settings


def test_each_start_decides_anew_whether_a_release_without_a_pin_is_used(settings: Settings) -> None:
    link = settings.engine_home / "bin" / "kubectl"
    for trust, program in ((True, "fetched"), (False, "built"), (True, "built")):
        cloud.up(trust_release_host=trust)
        assert link.read_text() == program


def test_a_kubectl_of_the_user_is_used_for_the_users_own_cluster(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = settings.engine_home / "bin" / "kubectl"
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "kubectl").write_text("own")
    (tmp_path / "own" / "kubectl").chmod(0o755)
    monkeypatch.setattr(cloud, "settings_from_environment", lambda: replace(settings, user_cluster=CLUSTER))
    monkeypatch.setenv("PATH", f"{link.parent}")
    cloud.up(trust_release_host=True)
    assert link.read_text() == "fetched"
    monkeypatch.setenv("PATH", f"{link.parent}:{tmp_path / 'own'}")
    cloud.up(trust_release_host=True)
    assert not link.is_symlink()
