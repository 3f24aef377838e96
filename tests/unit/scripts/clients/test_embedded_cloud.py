"""Commands that need no embedded cloud work without its Python packages, and on other machines than Linux on x86-64."""

import importlib
import json
import platform
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from components.core.errors import UserError
from localcloud.settings import settings_from_environment
from scripts.cli.instances import list_, status
from scripts.cli.local import env, local
from scripts.clients import packages, providers
from scripts.clients.packages import STAMPS, Environment
from scripts.clients.providers import Start
from scripts.context.context import Context
from tests.support.contexts import invoke
from tests.support.factories import settings
from tests.support.shell import ROOT

WITHOUT_PACKAGES = """
import platform, sys
import dns._features
from types import SimpleNamespace
from scripts.clients.providers import LOCAL_PACKAGES

dns._features.force("doh", False)  # the tests alone bring the packages for it

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {*LOCAL_PACKAGES} - {"requests"}:  # kubernetes brings requests
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
platform.system, platform.machine = (lambda: "Darwin"), (lambda: "arm64")
"""
COMMAND = """
from scripts.cli.main import main
main()
"""
EVERY_MODULE = """
import importlib, pkgutil, components, scripts
for top in (components, scripts):
    for module in pkgutil.walk_packages(top.__path__, f"{top.__name__}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
assert "localcloud.cloud" not in sys.modules
"""


def run_elsewhere(code: str, *arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run code as on a Mac with Apple's processor, where the packages of the embedded cloud cannot be installed."""
    command = [sys.executable, "-P", "-c", WITHOUT_PACKAGES + code, *arguments]
    return subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("arguments", [["--help"], ["local", "--help"], ["tenants", "set", "--help"]])
def test_help_needs_no_package_of_the_embedded_cloud(arguments: list[str]) -> None:
    completed = run_elsewhere(COMMAND, *arguments)
    assert completed.returncode == 0, completed.stderr
    assert "Usage: opstrace" in completed.stdout


def test_no_module_of_the_command_or_the_program_needs_the_embedded_cloud() -> None:
    completed = run_elsewhere(EVERY_MODULE)
    assert completed.returncode == 0, completed.stderr


def test_keys_and_tokens_are_made_on_a_mac(tmp_path: Path) -> None:
    made = run_elsewhere(COMMAND, "ta-create-keypair", "pair.pem", folder=tmp_path)
    assert (made.returncode, made.stdout) == (0, ""), made.stderr
    token = run_elsewhere(COMMAND, "ta-create-token", "showdown", "default", "pair.pem", folder=tmp_path)
    assert token.returncode == 0 and token.stdout.count(".") == 2, token.stderr
    (tmp_path / "token.jwt").write_text(token.stdout)
    inspected = run_elsewhere(COMMAND, "ta-inspect-token", "token.jwt", folder=tmp_path)
    assert inspected.returncode == 0 and "default" in inspected.stdout, inspected.stderr


@pytest.mark.parametrize(
    "arguments",
    [["local", "up"], ["env", "local"], ["create", "local", "showdown", "--tenant", "default"], ["list", "local"]],
    ids=lambda arguments: arguments[0],
)
def test_the_provider_local_says_on_a_mac_what_it_needs(arguments: list[str], tmp_path: Path) -> None:
    refused = run_elsewhere(COMMAND, *arguments, folder=tmp_path)
    errors = [line for line in refused.stderr.splitlines() if line.startswith("error: ")]
    assert refused.returncode == 1 and errors == refused.stderr.splitlines()[-1:], refused.stderr
    for part in (
        "this machine has Darwin on arm64",
        "Debian or Ubuntu on x86-64",
        "localcloud/requirements.txt",
        "`aws`",
    ):
        assert part in errors[0]


@pytest.mark.parametrize(("system", "machine"), [("Darwin", "arm64"), ("Darwin", "x86_64"), ("Linux", "aarch64")])
def test_the_embedded_cloud_is_for_linux_on_x86_64(monkeypatch: pytest.MonkeyPatch, system: str, machine: str) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    with pytest.raises(UserError, match=f"this machine has {system} on {machine}; the embedded cloud needs Debian"):
        providers.embedded_cloud()


def test_outside_of_the_launchers_environment_an_error_names_the_command_that_installs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "prefix", "/usr")
    monkeypatch.setattr(providers, "LOCAL_PACKAGES", ("click", "package_that_is_not_there"))
    with pytest.raises(UserError, match=r"\(package_that_is_not_there\).*pip install --editable '\.\[local\]'"):
        providers.embedded_cloud()


START = [
    (Start(cluster_context="kind"), "--context belongs to the provider `local`"),
    (Start(official_plugins=True), "--official-plugins belongs to the provider `local`"),
    (Start(trust_release_host=True), "--trust-release-host belongs to the provider `local`"),
]


@pytest.mark.parametrize(("start", "reason"), START)
def test_aws_refuses_the_options_of_the_embedded_cloud(start: Start, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        providers.provider("aws", start)
    assert providers.provider("aws", Start()).settings == {}


@pytest.mark.parametrize(("start", "_"), START)
def test_create_starts_the_embedded_cloud_with_the_options_that_you_gave(
    start: Start, _: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[str | None, bool, bool]] = []

    def up(context: str | None, *, progress: object, official_plugins: bool, trust_release_host: bool) -> object:
        started.append((context, official_plugins, trust_release_host))
        return None

    cloud = SimpleNamespace(
        up=up,
        environment=lambda *_: {},
        stack_settings=lambda _: {},
        ca_file=lambda _: None,
        require_running=None,
        collectors_wait=lambda _: "once their program is built",
    )
    monkeypatch.setattr(providers, "embedded_cloud", lambda **_: cloud)
    assert providers.provider("local", start).collectors_wait == "once their program is built"
    assert started == [(start.cluster_context, start.official_plugins, start.trust_release_host)]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Environment:
    """The launcher's environment, in which this process seems to run."""
    environment = Environment(tmp_path)
    environment.folder.mkdir()
    environment.stamp("command").touch()
    monkeypatch.setattr(sys, "prefix", str(environment.folder))
    monkeypatch.setattr(providers, "ROOT", tmp_path)
    return environment


def test_in_the_launchers_environment_the_packages_are_installed_at_first_use(
    monkeypatch: pytest.MonkeyPatch, environment: Environment
) -> None:
    environment.lock_file("local").parent.mkdir()
    environment.lock_file("local").write_text("new")
    installed: list[str] = []
    monkeypatch.setattr(packages, "install", lambda environment, purposes: installed.extend(purposes))
    assert providers.embedded_cloud().__name__ == "localcloud.cloud" and installed == ["local"]
    environment.stamp("local").write_text("old")
    providers.embedded_cloud()
    assert installed == ["local"] * 2
    environment.stamp("local").write_text("new")
    providers.embedded_cloud()
    assert installed == ["local"] * 2


@pytest.mark.parametrize(
    ("command", "arguments"),
    [(list_, ("local",)), (status, ("local", "showdown")), (env, ("local",)), (local, ("logs",))],
)
def test_a_command_that_needs_a_running_cloud_installs_nothing_where_none_was_started(
    command: click.Command,
    arguments: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    environment: Environment,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    environment.lock_file("local").parent.mkdir()
    environment.lock_file("local").write_text("new")
    installed: list[str] = []
    monkeypatch.setattr(packages, "install", lambda environment, purposes: installed.extend(purposes))
    (tmp_path / "Pulumi.showdown.yaml").write_text(
        json.dumps({"config": {f"opstrace:{key}": value for key, value in settings().items()}})
    )
    refused = invoke(Context(tmp_path), command, *arguments)
    assert isinstance(refused.exception, UserError) and "does not run; start it: `./opstrace local up`" in str(
        refused.exception
    )
    assert installed == []


def test_a_provider_is_checked_without_the_import_of_the_embedded_cloud(
    monkeypatch: pytest.MonkeyPatch, environment: Environment, tmp_path: Path
) -> None:
    environment.lock_file("local").parent.mkdir()
    environment.lock_file("local").write_text("new")
    environment.stamp("local").write_text("new")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(importlib, "import_module", None)
    providers.require_provider("aws")
    with pytest.raises(UserError, match=r"does not run; start it: `\./opstrace local up`"):
        providers.require_provider("local")
    pid_file = settings_from_environment().pid_file
    pid_file.parent.mkdir(parents=True)
    pid_file.touch()
    providers.require_provider("local")


def test_where_the_packages_cannot_be_installed_the_reason_is_the_error(environment: Environment) -> None:
    """The environment belongs to another user; nothing of it is changed."""
    (environment.checkout / ".venv.lock").mkdir()  # stands for a file that cannot be opened, also by root
    with pytest.raises(UserError, match=r"\.venv\.lock: Is a directory; correct this, then run this again"):
        providers.embedded_cloud()
    assert [*environment.folder.iterdir()] == [environment.folder / STAMPS["command"]]
