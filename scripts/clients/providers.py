"""The two providers of the command, `aws` and `local`. All differences between them are here."""

import importlib
import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from components.core.errors import UserError
from localcloud.settings import not_running, settings_from_environment
from scripts.clients import packages
from scripts.clients.launcher import is_launchers
from scripts.stackfile.file import ROOT
from scripts.ui.terminal import TERMINAL

PROVIDERS = ("aws", "local")
LOCAL_PACKAGES = ("envoy", "moto", "pyroute2", "requests")
PROVIDER = click.argument("provider_name", metavar="PROVIDER", type=click.Choice(PROVIDERS))


@dataclass(frozen=True)
class Provider:
    """The environment in which the engine runs, and the initial settings of a new stack.

    `ca_file`: a certificate authority that clients must trust in addition to the public ones, if there is one. `is_local`:
    whether it is the embedded cloud. `collectors_wait`: what the collectors wait for, if their image is not there yet.
    """

    environment: Mapping[str, str]
    settings: Mapping[str, Any] = field(default_factory=dict)
    ca_file: Path | None = None
    is_local: bool = False
    collectors_wait: str | None = None


@dataclass(frozen=True)
class Start:
    """How to start the embedded cloud.

    Attributes:
        cluster_context: The user's cluster, by its context of the kubeconfig.
        official_plugins: Use the official plugins and language host, not the stand-ins.
        trust_release_host: Use releases without a pinned checksum too.
    """

    cluster_context: str | None = None
    official_plugins: bool = False
    trust_release_host: bool = False

    def require_none(self) -> None:
        """Raise `UserError` if any option is set: none belongs to the provider `aws`."""
        if self.cluster_context:
            raise UserError(
                "--context belongs to the provider `local`; for `aws`, set opstrace:cluster.context in the stack file"
            )
        if self.official_plugins:
            raise UserError(
                "--official-plugins belongs to the provider `local`; `aws` always uses the official plugins"
            )
        if self.trust_release_host:
            raise UserError(
                "--trust-release-host belongs to the provider `local`; `aws` uses the `pulumi` on your PATH"
            )


def provider(name: str, start: Start | None = None) -> Provider:
    """Return a provider. With `start`, the embedded cloud is started first; without it, the cloud must run already.

    Raises `UserError` if `aws` gets an option of the embedded cloud.
    """
    if name == "aws":
        if start:
            start.require_none()
        return Provider(dict(os.environ))
    cloud = embedded_cloud(must_run=not start)
    running = _start(cloud, start) if start else cloud.require_running()
    environment = os.environ | cloud.environment(running, TERMINAL)
    return Provider(
        environment,
        cloud.stack_settings(running),
        cloud.ca_file(running),
        is_local=True,
        collectors_wait=cloud.collectors_wait(running),
    )


def _start(cloud: ModuleType, start: Start) -> Any:
    """Start the embedded cloud, and return its settings."""
    return cloud.up(
        start.cluster_context,
        progress=TERMINAL,
        official_plugins=start.official_plugins,
        trust_release_host=start.trust_release_host,
    )


def embedded_cloud(*, must_run: bool = False) -> ModuleType:
    """Return the module `localcloud.cloud`. It is imported here because that takes 0.8 s, and few commands need it.

    Raises `UserError` where the embedded cloud cannot run, or where its packages cannot be installed. With `must_run`, also
    where none was started: before the packages are installed, because that takes minutes.
    """
    _require_embedded_cloud(must_run=must_run)
    return importlib.import_module("localcloud.cloud")


def require_provider(name: str) -> None:
    """Raise `UserError` where a provider cannot be used, without the import of the embedded cloud.

    A cloud that was killed since its start is not noticed.
    """
    if name == "local":
        _require_embedded_cloud(must_run=True)


def _require_embedded_cloud(*, must_run: bool) -> None:
    _require_machine()
    if must_run and not settings_from_environment().pid_file.exists():
        raise not_running()
    _require_packages()


def _require_machine() -> None:
    if machine := packages.machine_without_cloud():
        raise UserError(
            f"this machine has {machine}; the embedded cloud needs Debian or Ubuntu on x86-64, with the packages of "
            "localcloud/requirements.txt, which ./opstrace installs there. Use such a machine, or the provider `aws`"
        )


def _require_packages() -> None:
    """Install the packages of the embedded cloud into the launcher's `.venv` at their first use."""
    environment = packages.Environment(ROOT)
    if is_launchers(environment):
        if environment.is_current("local"):
            return
        try:
            packages.install(environment, ["local"])
        except packages.InstallError as error:
            raise UserError(str(error)) from error
        importlib.invalidate_caches()
    elif missing := [name for name in LOCAL_PACKAGES if not importlib.util.find_spec(name)]:
        raise UserError(
            f"the embedded cloud needs Python packages that are not installed ({', '.join(missing)}); in the checkout, "
            "run `pip install --editable '.[local]'`, or use ./opstrace, which installs them"
        )
