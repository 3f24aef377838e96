"""Container images built from local programs, under the names that they have in their registries."""

import hashlib
import io
import json
import re
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from localcloud.toolchain import catalog
from localcloud.toolchain.store import cache_home, private_folder

PAUSE = "registry.k8s.io/pause:3.10"
PASSWD = b"root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n"
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
    """Return every image that the cluster runs; `programs` are the folders of the tools by their names."""
    tools = (catalog.PAUSE, catalog.CORTEX, catalog.LOKI, catalog.ENVOY)
    pause, cortex, loki, envoy = (Path(programs[tool.name]) for tool in tools)
    return [
        Image(PAUSE, pause / "pause", "/pause"),
        Image(f"quay.io/cortexproject/cortex:v{catalog.CORTEX.version}", cortex / "cortex", "/bin/cortex"),
        Image(f"docker.io/grafana/loki:{catalog.LOKI.version}", loki / "loki", "/usr/bin/loki"),
        Image(f"docker.io/envoyproxy/envoy:v{catalog.ENVOY.version}", envoy / "envoy", "/usr/local/bin/envoy"),
    ]


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
            _write_archive(image, final)
    return final


def _write_archive(image: Image, final: Path) -> None:
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
