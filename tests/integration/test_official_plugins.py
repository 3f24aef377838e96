"""`local` runs the stand-ins on every machine; `--official-plugins` runs what Pulumi publishes, from a loopback server here.

The published programs are replaced by recorders: each writes down its path and becomes the stand-in of its name. So the real
engine shows what it starts.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from localcloud import cloud, lifecycle
from localcloud.errors import ToolError
from localcloud.moto import services
from localcloud.plugins import install
from localcloud.settings import Settings
from localcloud.toolchain import catalog, engine_plugins, releases
from localcloud.toolchain.catalog import LANGUAGE_HOST
from localcloud.toolchain.engine_plugins import PLUGINS, plugin_folder, plugin_url, this_platform
from localcloud.toolchain.releases import Release
from localcloud.toolchain.sources import GoModule, go_environment
from localcloud.toolchain.store import ensure
from tests.support.ports import free_port
from tests.support.release_server import PAGE, Releases, Sends, cut, missing, serving, tar, whole
from tests.support.shell import ROOT, run

RECORDER = """package main

import ("os"; "path/filepath"; "syscall")

func main() {
	path, _ := os.Executable()
	started, _ := os.OpenFile(os.Getenv("TEST_STARTED"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0600)
	started.WriteString(path + "\\n")
	panic(syscall.Exec(filepath.Join(os.Getenv("TEST_STAND_INS"), filepath.Base(path)), os.Args, os.Environ()))
}
"""
PROGRAM = """import pulumi_random as random

random.RandomId("one", byte_length=4)
"""
ALL = [*PLUGINS, "the language host"]


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("recorder")
    (folder / "main.go").write_text(RECORDER)
    (folder / "go.mod").write_text("module recorder\n\ngo 1.21\n")
    go = GoModule("pause", ".", "pause", 1).toolchain(folder)
    subprocess.run(
        [go, "build", "-buildvcs=false", "-ldflags=-s -w", "-o", "recorder", "."],
        cwd=folder,
        env=go_environment(),
        check=True,
    )
    return (folder / "recorder").read_bytes()


@pytest.fixture(scope="module")
def archive(recorder: bytes) -> bytes:
    """A release of the engine: the real one, with a recorder as its language host."""
    built = ensure(catalog.PULUMI)
    programs = {
        "pulumi/pulumi": (built / "pulumi").read_bytes(),
        "pulumi/pulumi-language-python-exec": (built / "pulumi-language-python-exec").read_bytes(),
        f"pulumi/{LANGUAGE_HOST}": recorder,
    }
    return tar(programs, compress=False)


@pytest.fixture(scope="module")
def plugins(recorder: bytes) -> dict[str, bytes]:
    """The archives of the plugins."""
    return {name: tar({f"pulumi-resource-{name}": recorder}) for name in PLUGINS}


@dataclass
class Machine:
    """A machine whose release hosts are the loopback server, with the engine's homes and a project."""

    folder: Path
    server: Releases
    settings: Settings
    release: Release
    patch: pytest.MonkeyPatch
    pins: dict[str, dict[str, str]] = field(default_factory=dict)

    def publish_engine(self, archive: bytes) -> None:
        """Publish a release of the engine, and pin it."""
        self.server.serve(self.release.url, whole(archive))
        self.pin(self.release.url, archive)

    def pin(self, url: str, content: bytes) -> None:
        self.pins[url] = {"sha256": hashlib.sha256(content).hexdigest(), "source": "test"}
        releases.CHECKSUMS.write_text(json.dumps(self.pins))

    def official(self, *, trust: bool = True, chosen: bool = True) -> None:
        """Prepare the engine as `local up --official-plugins` does, with `--trust-release-host` by default.

        If not `chosen`, as `local up` does while the earlier choice is recorded.
        """
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(self.folder / "cache"))  # the release is none for the user's own cache
            cloud.prepare_engine(self.settings, official_plugins=chosen, trust_release_host=trust)

    @property
    def stand_ins(self) -> list[str] | None:
        return install.stand_ins(self.settings.engine_home)

    def started(self, *arguments: str) -> list[str]:
        """Run `pulumi` in the shell of the embedded cloud; return which recorders the engine started."""
        file = self.folder / "started"
        file.write_text("")
        environment = os.environ | cloud.environment(self.settings)
        environment |= {"TEST_STARTED": str(file), "TEST_STAND_INS": str(self.folder / "stand-ins")}
        run("pulumi", "--non-interactive", *arguments, cwd=self.folder / "project", env=environment)
        paths = {Path(line) for line in file.read_text().splitlines()}
        return sorted(str(path.relative_to(self.settings.pulumi)) for path in paths)


def url_of(name: str) -> str:
    return plugin_url(name, this_platform())


@pytest.fixture
def machine(
    plugins: dict[str, bytes], recorder: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Machine]:
    settings = Settings(3, tmp_path / "home")
    for path in (settings.home, settings.node, settings.logs):
        path.mkdir(mode=0o700)
    services.write_files(settings)
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "__main__.py").write_text(PROGRAM)
    (tmp_path / "project" / "Pulumi.yaml").write_text(
        f"name: official\nruntime:\n  name: python\n  options:\n    virtualenv: {ROOT / '.venv'}\n"
    )
    with serving(Releases()) as server:
        release = server.moved(catalog.PULUMI_RELEASE)
        machine = Machine(tmp_path, server, settings, release, monkeypatch)
        monkeypatch.setattr(releases, "CHECKSUMS", tmp_path / "checksums.json")
        monkeypatch.setattr(engine_plugins, "SERVER", f"{server.url}/releases/plugins")
        official = replace(catalog.OFFICIAL_PULUMI, sources=(release,), suitable=None)
        monkeypatch.setattr(install, "OFFICIAL_PULUMI", official)
        machine.publish_engine(tar(dict.fromkeys(release.programs.values(), recorder), compress=False))
        for name, content in plugins.items():
            server.serve(url_of(name), whole(content))
        cloud.prepare_engine(settings)
        (tmp_path / "stand-ins").mkdir()
        shutil.copy(settings.stand_ins_home / "bin" / LANGUAGE_HOST, tmp_path / "stand-ins")
        for name in PLUGINS:
            shutil.copy(
                plugin_folder(settings.stand_ins_home, name) / f"pulumi-resource-{name}", tmp_path / "stand-ins"
            )
        yield machine
    shutil.rmtree(tmp_path)  # it has several copies of the engine


def test_the_stand_ins_run_on_a_machine_that_reaches_every_release(machine: Machine) -> None:
    assert machine.stand_ins == ALL and machine.server.requested == []
    assert machine.started("stack", "init", "test") == machine.started("up", "--yes", "--skip-preview") == []


def test_a_release_of_the_engine_runs_with_the_stand_in_language_host(machine: Machine, recorder: bytes) -> None:
    programs = machine.folder / "release"
    programs.mkdir()
    for path in ensure(catalog.PULUMI).glob("pulumi*"):
        (programs / path.name).symlink_to(path)
    (programs / LANGUAGE_HOST).write_bytes(recorder)
    for name in PLUGINS:  # as earlier versions installed them where their server was reached
        program = plugin_folder(machine.settings.stand_ins_home, name) / f"pulumi-resource-{name}"
        program.write_bytes(recorder)
    for _ in range(2):
        install.install(machine.settings.stand_ins_home, programs)
        assert machine.stand_ins == ALL


def test_a_plugin_on_path_does_not_replace_the_stand_in(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = machine.folder / "on-path"
    folder.mkdir()
    for name in ("pulumi-resource-random", LANGUAGE_HOST):
        (folder / name).write_text("#!/bin/sh\nexit 1\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    machine.started("stack", "init", "test")
    assert machine.started("up", "--yes", "--skip-preview") == []


def test_the_official_plugins_and_language_host_run_on_the_same_state(machine: Machine, archive: bytes) -> None:
    machine.publish_engine(archive)
    machine.started("stack", "init", "test")
    machine.started("up", "--yes", "--skip-preview")
    machine.official()
    assert machine.stand_ins == []
    folder = plugin_folder(Path("official"), "random")
    used = ["official/bin/pulumi-language-python", f"{folder}/pulumi-resource-random"]
    assert machine.started("preview", "--expect-no-changes") == used
    machine.server.requested.clear()
    machine.official(chosen=False)
    assert machine.stand_ins == [] and machine.server.requested == []


def test_the_end_of_the_cloud_ends_the_choice(
    machine: Machine, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.publish_engine(archive)
    machine.started("stack", "init", "test")
    machine.official()
    monkeypatch.setattr(cloud, "settings_from_environment", lambda: machine.settings)
    monkeypatch.setattr(lifecycle, "stop", lambda settings: None)
    assert cloud.down().stacks == ["test"]
    cloud.prepare_engine(machine.settings)
    assert machine.stand_ins == ALL
    assert cloud.environment(machine.settings)["PULUMI_HOME"] == str(machine.settings.stand_ins_home)


def test_a_pinned_plugin_needs_no_trust(machine: Machine, archive: bytes, plugins: dict[str, bytes]) -> None:
    machine.publish_engine(archive)
    for name, content in plugins.items():
        machine.pin(url_of(name), content)
    machine.official(trust=False)
    assert machine.stand_ins == []
    assert [path.rsplit("/", 1)[-1] for path in machine.server.requested] == [
        url.rsplit("/", 1)[-1] for url in (machine.release.url, *map(url_of, PLUGINS))
    ]


def test_plugins_that_were_fetched_by_trust_are_refused_without_trust(machine: Machine, archive: bytes) -> None:
    machine.publish_engine(archive)
    machine.official()
    machine.server.requested.clear()
    urls = ", ".join(map(url_of, PLUGINS))
    for chosen in (True, False):
        with pytest.raises(ToolError, match=f"no pinned checksum for {urls}; add --trust-release-host"):
            machine.official(trust=False, chosen=chosen)
    machine.official()
    assert machine.stand_ins == [] and machine.server.requested == []  # with trust again, nothing is fetched again


def test_plugins_that_were_fetched_by_trust_are_compared_with_pins_that_come_later(
    machine: Machine, archive: bytes, plugins: dict[str, bytes]
) -> None:
    machine.publish_engine(archive)
    machine.server.serve(url_of("aws"), whole(tar({"pulumi-resource-aws": b"\x7fELF other"})))
    machine.official()
    machine.server.serve(url_of("aws"), whole(plugins["aws"]))
    machine.server.requested.clear()
    for name, content in plugins.items():
        machine.pin(url_of(name), content)
    machine.official(trust=False)
    program = plugin_folder(machine.settings.official_home, "aws") / "pulumi-resource-aws"
    assert machine.server.requested == [urlsplit(url_of("aws")).path] and b"other" not in program.read_bytes()[:100]


def test_a_plugin_of_unknown_origin_is_fetched_again(
    machine: Machine, archive: bytes, plugins: dict[str, bytes]
) -> None:
    machine.publish_engine(archive)
    for name, content in plugins.items():
        machine.pin(url_of(name), content)
    folder = plugin_folder(machine.settings.official_home, "random")
    folder.mkdir(parents=True)
    (folder / "pulumi-resource-random").write_bytes(b"other")
    machine.official(trust=False)
    assert (folder / "pulumi-resource-random").read_bytes() != b"other"


def no_pins(machine: Machine) -> None:
    """Trust the host, which has no list of the engine's checksums."""
    machine.pins.clear()
    releases.CHECKSUMS.write_text("{}")


def closed(machine: Machine) -> None:
    """Have nobody answer for the engine."""
    url = f"http://127.0.0.1:{free_port()}/pulumi.tar.gz"
    machine.pin(url, b"")
    official = replace(catalog.OFFICIAL_PULUMI, sources=(replace(machine.release, url=url),), suitable=None)
    machine.patch.setattr(install, "OFFICIAL_PULUMI", official)


def engine(sends: Sends) -> Callable[[Machine], None]:
    """Send this in place of the engine's release."""
    return lambda machine: machine.server.serve(machine.release.url, sends)


def plugin(sends: Sends) -> Callable[[Machine], None]:
    """Send this in place of the first plugin."""
    return lambda machine: machine.server.serve(url_of("aws"), sends)


def pinned(machine: Machine) -> None:
    """Pin another checksum of the first plugin."""
    machine.pin(url_of("aws"), b"another file")


GOOD = tar({"pulumi-resource-aws": b"\x7fELF"})
FAULTS: dict[str, tuple[Callable[[Machine], None], str]] = {
    "no list of the engine": (no_pins, r"pulumi-3\.255\.0-checksums\.txt answered 404"),
    "nobody answers": (closed, "cannot be reached: .*Connection refused"),
    "no engine": (engine(missing), r"pulumi-v3\.255\.0-linux-x64\.tar\.gz answered 404"),
    "another engine": (engine(whole(b"another")), "is pinned: the file was changed or damaged"),
    "a page for the engine": (engine(whole(PAGE)), "a page of HTML"),
    "no plugin": (plugin(missing), r"pulumi-resource-aws-.* answered 404"),
    "a plugin with another checksum": (pinned, "is pinned: the file was changed or damaged"),
    "a truncated plugin": (plugin(cut(GOOD)), "ended after"),
    "a page for a plugin": (plugin(whole(PAGE)), "a page of HTML"),
    "a plugin in a broken archive": (plugin(whole(GOOD[:60])), "cannot be unpacked"),
    "an archive without the plugin": (plugin(whole(tar({"other": b""}))), "has no pulumi-resource-aws"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_official_plugins_that_cannot_be_used_leave_the_stand_ins_and_say_why(machine: Machine, fault: str) -> None:
    break_it, reason = FAULTS[fault]
    break_it(machine)
    with pytest.raises(ToolError, match=f"(?s)the official plugins and their language host cannot be used: .*{reason}"):
        machine.official()
    assert machine.stand_ins == ALL and not plugin_folder(machine.settings.official_home, "aws").exists()


def test_official_plugins_without_a_pinned_checksum_are_not_fetched(machine: Machine) -> None:
    with pytest.raises(ToolError) as error:
        machine.official(trust=False)
    urls = ", ".join(map(url_of, PLUGINS))
    assert f"no pinned checksum for {urls}; add --trust-release-host if you trust what their host sends" in str(
        error.value
    )
    assert "for the stand-in plugins, leave out --official-plugins" in str(error.value)
    assert machine.server.requested == [] and machine.stand_ins == ALL
