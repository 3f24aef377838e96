"""Container images built from local programs, under the names that they have in their registries.

Run as `python -m localcloud.node.images SETTINGS_HOME SLOT CONTAINERD`, it builds the program that the node started
without, and gives the node its image. CONTAINERD is the folder of containerd's programs.
"""

import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from components.core.images import COLLECTOR_IMAGE
from components.core.names import COLLECTORS_NAMESPACE
from localcloud.errors import ToolError
from localcloud.node.services import Cluster
from localcloud.settings import Settings
from localcloud.supervisor import Service, StartError, say
from localcloud.toolchain import catalog
from localcloud.toolchain.store import cache_home, ensure, private_folder

PAUSE = "registry.k8s.io/pause:3.10"
PASSWD = b"root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n"
LATER_SERVICE = "collector-image"
RETRY_SECONDS = 300  # after a build that failed
LINKED = re.compile(r"(?:=> )?(/\S+) \(0x")


@dataclass(frozen=True)
class Image:
    """An image of one program and the libraries that it is linked with; `path` is the program's path in the image."""

    name: str
    program: Path
    path: str

    def files(self) -> dict[str, Path]:
        """Return the image's files: path in the image to local file."""
        return {self.path: self.program} | {library: Path(library) for library in _libraries(self.program)}


def _libraries(program: Path) -> list[str]:
    linked = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False)
    if linked.returncode:  # a static program
        return []
    return sorted(set(LINKED.findall(linked.stdout)))


def images(programs: Mapping[str, str]) -> list[Image]:
    """Return every image that the cluster runs; `programs` are the folders of the tools by their names.

    That of the collector is missing where its tool is.
    """
    tools = (catalog.PAUSE, catalog.CORTEX, catalog.LOKI, catalog.ENVOY)
    pause, cortex, loki, envoy = (Path(programs[tool.name]) for tool in tools)
    return [
        Image(PAUSE, pause / "pause", "/pause"),
        Image(f"quay.io/cortexproject/cortex:v{catalog.CORTEX.version}", cortex / "cortex", "/bin/cortex"),
        Image(f"docker.io/grafana/loki:{catalog.LOKI.version}", loki / "loki", "/usr/bin/loki"),
        Image(f"docker.io/envoyproxy/envoy:v{catalog.ENVOY.version}", envoy / "envoy", "/usr/local/bin/envoy"),
        *([_collector(Path(programs[name]))] if (name := catalog.OTELCOL.name) in programs else []),
    ]


def _collector(folder: Path) -> Image:
    return Image(COLLECTOR_IMAGE, folder / "otelcol", "/otelcol-k8s")


def _entry(path: str, mode: int, size: int = 0, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.mode, entry.size, entry.type = mode, size, kind
    return entry


def _write_layer(image: Image, path: Path) -> str:
    """Write the image's only layer to `path`; return its SHA-256 in hex."""
    with tarfile.open(path, "w") as layer:
        layer.addfile(_entry("tmp", 0o1777, kind=tarfile.DIRTYPE))
        layer.addfile(_entry("etc/passwd", 0o644, len(PASSWD)), io.BytesIO(PASSWD))
        for target, source in image.files().items():
            with source.open("rb") as content:
                layer.addfile(_entry(target, 0o755, source.stat().st_size), content)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def archive(image: Image) -> Path:
    """Return the image as a file in the format of `docker save`; builds it where it is not cached."""
    stat = image.program.stat()
    recipe = f"{image} {image.program.resolve()} {stat.st_size} {stat.st_mtime_ns}"
    key = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    home = cache_home()
    for folder in (home.parent, home, home / "images"):
        private_folder(folder)
    final = folder / f"{image.name.rsplit('/', 1)[-1].replace(':', '-')}-{key}.tar"
    with FileLock(folder / ".lock", fallback_to_soft=False):
        if not final.exists():
            write_archive(image, final)
    return final


def write_archive(image: Image, final: Path) -> None:
    """Write the image to a file in the format of `docker save`."""
    layer = final.with_suffix(".layer")
    partial = final.with_suffix(".partial")
    digest = _write_layer(image, layer)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": [image.path], "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    config_bytes = json.dumps(config).encode()
    config_name = hashlib.sha256(config_bytes).hexdigest() + ".json"
    manifest = [{"Config": config_name, "RepoTags": [image.name], "Layers": [f"{digest}/layer.tar"]}]
    manifest_bytes = json.dumps(manifest).encode()
    with tarfile.open(partial, "w") as out:
        out.addfile(_entry(config_name, 0o644, len(config_bytes)), io.BytesIO(config_bytes))
        with layer.open("rb") as content:
            out.addfile(_entry(f"{digest}/layer.tar", 0o644, layer.stat().st_size), content)
        out.addfile(_entry("manifest.json", 0o644, len(manifest_bytes)), io.BytesIO(manifest_bytes))
    layer.unlink()
    # Not by `write_whole`: it takes the content from memory, and an archive has over a hundred megabytes.
    partial.replace(final)


def import_command(containerd: str, archive: Path) -> list[str]:
    """Return the command that gives the node an image, on the node. Containerd's programs are in `containerd`."""
    return [f"{containerd}/ctr", "-n", "k8s.io", "images", "import", str(archive)]


def import_archive(containerd: str, archive: Path) -> None:
    """Give the node an image; raises `StartError` where containerd refuses it."""
    started = time.monotonic()
    result = subprocess.run(import_command(containerd, archive), capture_output=True, text=True, check=False)
    if result.returncode:
        raise StartError(f"the image {archive.name} cannot be imported: {result.stderr.strip()}")
    say(f"{archive.stem} is imported after {time.monotonic() - started:.1f} s")


def later(settings: Settings, containerd: str, python: str) -> Service:
    """Return the service that builds the collector's program, below all other work, and gives the node its image."""
    command = ["nice", "-n", "19", python, "-P", "-m", "localcloud.node.images"]
    # The modules come from the network of this machine; the node has none.
    return Service(
        LATER_SERVICE,
        [*command, str(settings.home), str(settings.slot), containerd],
        on_host_network=True,
        ends=True,
    )


def main() -> None:
    """Build the collector's program, import its image, and start its pods; exit 1 after a pause where that fails."""
    settings, containerd = Settings(int(sys.argv[2]), Path(sys.argv[1])), sys.argv[3]
    try:
        import_archive(containerd, archive(_collector(ensure(catalog.OTELCOL))))
    except (ToolError, StartError) as error:
        say(f"{error}; trying again in {RETRY_SECONDS} s")
        time.sleep(RETRY_SECONDS)
        sys.exit(1)
    # The kubelet looks for a missing image again after up to five minutes; for new pods, at once.
    Cluster(settings).call("DELETE", f"/api/v1/namespaces/{COLLECTORS_NAMESPACE}/pods")


if __name__ == "__main__":
    main()
