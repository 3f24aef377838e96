"""Tools on PATH: taken where all programs are there at the right version."""

import os
from pathlib import Path

import pytest

from localcloud.errors import ToolError
from localcloud.toolchain import catalog
from localcloud.toolchain.sources import Installed
from localcloud.toolchain.store import Tool, cached, ensure


def install(folder: Path, said: str, *programs: str) -> None:
    for name in programs:
        (folder / name).write_text(f"#!/bin/sh\necho '{said}' >&2\n")
        (folder / name).chmod(0o755)


# As each says it.
SAID = [
    (catalog.COREDNS, "CoreDNS-1.15.0 linux/amd64, go1.26.0, abcdef"),
    (catalog.CORTEX, "Cortex, version 1.21.1 (branch: HEAD, revision: 1.2.3)"),
    (catalog.LOKI, "loki, version 3.7.8 (branch: HEAD)"),
    (catalog.ENVOY, "envoy  version: 0123abcd/1.40.0/Clean/RELEASE/BoringSSL"),
    (catalog.KUBERNETES, "Kubernetes v1.34.4"),
    (catalog.ETCD, "etcd Version: 3.6.1"),
    (catalog.PROMETHEUS, "prometheus, version 3.1.0+ds (branch: debian/sid, revision: 3.1.0+ds-1)"),
]


@pytest.mark.parametrize(("tool", "said"), SAID, ids=[tool.name for tool, _ in SAID])
def test_a_tool_on_path_is_taken_at_the_right_version_alone(
    tool: Tool, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    install(tmp_path, said, *tool.programs)
    assert cached(tool) == tmp_path
    install(tmp_path, said.replace("1.", "0.").replace("3.", "1."), *tool.programs)
    assert cached(tool) is None
    install(tmp_path, said, *tool.programs)
    (tmp_path / tool.programs[-1]).unlink()
    assert cached(tool) is None


def test_programs_in_several_folders_are_taken_together_for_as_long_as_they_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folders = [tmp_path / "bin", tmp_path / "cni"]
    for folder, name in zip(folders, ("engine", "plugin"), strict=True):
        folder.mkdir()
        install(folder, "1", name)
    monkeypatch.setenv("PATH", str(folders[0]))
    tool = Tool("engine", "any", ("engine", "plugin"), (Installed(("engine", "plugin"), (str(folders[1]),)),))
    found = ensure(tool)
    assert cached(tool) == found and (found / "plugin").resolve() == folders[1] / "plugin"
    (folders[1] / "plugin").unlink()
    assert cached(tool) is None
    with pytest.raises(ToolError, match="plugin is not installed"):
        ensure(tool)
