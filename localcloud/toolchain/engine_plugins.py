"""Installation of the engine's plugins with pinned checksums.

The engine itself fetches missing plugins without a check. Its `pulumi plugin install --checksum` (3.255) refuses good
files: it omits an answer's last bytes if they come together with its end. See checksumReader in
sdk/v3/go/common/workspace/plugins.go. So the checksum is compared here, before the engine gets the file.
"""

import platform
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from components.core.errors import UserError
from localcloud.errors import ToolError
from localcloud.progress import Progress
from localcloud.toolchain.download import download
from localcloud.toolchain.releases import BROKEN, Origin, fetch, pinned_checksums
from localcloud.toolchain.sources import UnavailableError

PLUGINS = ("aws", "kubernetes", "random")
PLATFORMS = ("linux-amd64", "linux-arm64", "darwin-arm64", "darwin-amd64")
SERVER = "https://get.pulumi.com/releases/plugins"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}  # Go's names
ESTIMATE_SECONDS = 20


def this_platform() -> str:
    """Return this machine's platform in the form of the plugins' file names, such as `linux-amd64`."""
    machine = platform.machine().lower()
    return f"{platform.system().lower()}-{MACHINES.get(machine, machine)}"


def plugin_url(name: str, on: str) -> str:
    """Return the URL of the plugin that matches the installed SDK, for the platform `on`."""
    return f"{SERVER}/pulumi-resource-{name}-v{version(f'pulumi-{name}')}-{on}.tar.gz"


def plugin_folder(home: Path, name: str) -> Path:
    """Return the folder in which the engine expects the plugin for the installed SDK; `home` is its `PULUMI_HOME`."""
    return home / "plugins" / f"resource-{name}-v{version(f'pulumi-{name}')}"


def plugin_home(environment: Mapping[str, str]) -> Path:
    """Return the folder in which the engine keeps its plugins."""
    return Path(environment.get("PULUMI_HOME") or Path(environment.get("HOME") or Path.home()) / ".pulumi")


def pinned_checksum(name: str) -> str | None:
    """Return the pinned SHA-256, in hex, of the plugin for this platform; None where none is pinned."""
    return pinned_checksums().get(plugin_url(name, this_platform()))


def is_usable(home: Path, name: str, *, is_trusted: bool) -> bool:
    """Tell whether the plugin is installed, and may be used now: by its pinned checksum, or without one if `is_trusted`."""
    origin = Origin.of(plugin_folder(home, name))
    url = plugin_url(name, this_platform())
    return origin is not None and origin.is_usable(url, pinned_checksum(name), is_trusted=is_trusted)


def install_plugin(pulumi: str, environment: Mapping[str, str], name: str, checksum: str | None) -> Origin:
    """Fetch the plugin, compare its checksum if there is one, and let the engine unpack it; return where it comes from.

    Raises `ToolError` where the checksum differs or the file is no archive of the plugin, and `UnavailableError` where it
    cannot be fetched or installed.
    """
    url = plugin_url(name, this_platform())
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "plugin.tar.gz"
        if checksum:
            fetch(url, checksum, archive)
        else:
            checksum = download(url, archive)
        _require_archive(url, archive, f"pulumi-resource-{name}")
        command = [pulumi, "plugin", "install", "resource", name, version(f"pulumi-{name}"), "--file", str(archive)]
        result = subprocess.run(command, cwd=folder, env=dict(environment), capture_output=True, text=True, check=False)
    if result.returncode:
        raise UnavailableError(f"the engine cannot install the {name} plugin: {result.stderr.strip()}")
    return Origin(url, checksum)


def _require_archive(url: str, archive: Path, program: str) -> None:
    """Raise `ToolError` unless the archive can be unpacked to its end and has the program."""
    try:
        with tarfile.open(archive) as tar:
            names = tar.getnames()
    except BROKEN as error:
        raise ToolError(f"{url} cannot be unpacked: {error}; nothing of it was used") from error
    if program not in names:
        raise ToolError(f"{url} has no {program}; nothing of it was used")


def require_plugins(pulumi: str, environment: Mapping[str, str], progress: Progress) -> None:
    """Install the missing plugins with a pinned checksum, and note those that the engine will fetch unchecked.

    Raises `UserError` where one cannot be fetched, or its checksum differs.
    """
    home = plugin_home(environment)
    for name in PLUGINS:
        if plugin_folder(home, name).exists():
            continue
        checksum = pinned_checksum(name)
        if not checksum:
            release = version(f"pulumi-{name}")
            progress.note(f"  the {name} plugin {release} is not checked: no pinned checksum for {this_platform()}")
            continue
        try:
            with progress.step(f"fetching the {name} plugin", ESTIMATE_SECONDS):
                install_plugin(pulumi, environment, name, checksum)
        except UnavailableError as reason:
            raise UserError(
                f"the {name} plugin cannot be installed with its pinned checksum: {reason}; if you trust another source, "
                f"install it into {home} by `pulumi plugin install`"
            ) from reason
