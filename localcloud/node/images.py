"""Container images made from local binaries, under the names that the registries give them."""

import fcntl
import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from localcloud.toolchain import catalog
from localcloud.toolchain.store import cache_home, ensure

PAUSE = "registry.k8s.io/pause:3.10"
PASSWD = b"root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n"
LINKED = re.compile(r"(?:=> )?(/\S+) \(0x")


@dataclass(frozen=True)
class Image:
    """An image of one program, and of the libraries that it is linked with."""

    name: str
    program: Path
    path: str

    def files(self) -> dict[str, Path]:
        """Return what is in the image: path to the local file."""
        return {self.path: self.program} | {library: Path(library) for library in _libraries(self.program)}


def _libraries(program: Path) -> list[str]:
    linked = subprocess.run(["ldd", str(program)], capture_output=True, text=True)
    if linked.returncode:  # a static program
        return []
    return sorted(set(LINKED.findall(linked.stdout)))


def images() -> list[Image]:
    """Return every image that the cluster runs, its tool fetched or built where it must be."""
    pause, cortex, loki, envoy = (ensure(tool) for tool in (catalog.PAUSE, catalog.CORTEX, catalog.LOKI, catalog.ENVOY))
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
    """Write the image's one layer to `path`; return its SHA-256 in hex."""
    with tarfile.open(path, "w") as layer:
        layer.addfile(_entry("tmp", 0o1777, kind=tarfile.DIRTYPE))
        layer.addfile(_entry("etc/passwd", 0o644, len(PASSWD)), io.BytesIO(PASSWD))
        for target, source in image.files().items():
            with source.open("rb") as content:
                layer.addfile(_entry(target, 0o755, source.stat().st_size), content)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def archive(image: Image) -> Path:
    """Return the image as a file in `docker save` form, from the cache when it was made before."""
    stat = image.program.stat()
    recipe = f"{image} {image.program.resolve()} {stat.st_size} {stat.st_mtime_ns}"
    key = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    folder = cache_home() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"{image.name.rsplit('/', 1)[-1].replace(':', '-')}-{key}.tar"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
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
    os.replace(partial, final)
