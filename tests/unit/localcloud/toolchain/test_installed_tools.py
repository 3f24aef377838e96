"""Tools on PATH: used if all their programs are on PATH at the right version."""

import os
from pathlib import Path

import pytest

from localcloud.errors import ToolError
from localcloud.toolchain import catalog
from localcloud.toolchain.sources import Installed
from localcloud.toolchain.store import Tool, cached, ensure


def install(folder: Path, output: str, *programs: str) -> None:
    for name in programs:
        (folder / name).write_text(f"#!/bin/sh\necho '{output}' >&2\n")
        (folder / name).chmod(0o755)


# Each program's own output.
OUTPUTS = [
    (catalog.COREDNS, "CoreDNS-1.15.0 linux/amd64, go1.26.0, abcdef"),
    (catalog.CORTEX, "Cortex, version 1.21.1 (branch: HEAD, revision: 1.2.3)"),
    (catalog.LOKI, "loki, version 3.7.8 (branch: HEAD)"),
    (catalog.KUBERNETES, "Kubernetes v1.34.4"),
    (catalog.ETCD, "etcd Version: 3.6.1"),
    (catalog.PROMETHEUS, "prometheus, version 3.1.0+ds (branch: debian/sid, revision: 3.1.0+ds-1)"),
]


@pytest.mark.parametrize(("tool", "output"), OUTPUTS, ids=[tool.name for tool, _ in OUTPUTS])
def test_a_tool_on_path_is_only_used_at_the_right_version(
    tool: Tool, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    install(tmp_path, output, *tool.programs)
    assert cached(tool) == tmp_path
    install(tmp_path, output.replace("1.", "0.").replace("3.", "1."), *tool.programs)
    assert cached(tool) is None
    install(tmp_path, output, *tool.programs)
    (tmp_path / tool.programs[-1]).unlink()
    assert cached(tool) is None


def test_the_script_of_a_python_package_is_not_used_as_envoy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    install(tmp_path, "envoy  version: 0123abcd/1.40.0/Clean/RELEASE/BoringSSL", *catalog.ENVOY.programs)
    assert cached(catalog.ENVOY) is None
    (tmp_path / "envoy").write_bytes(b"\x7fELF")
    assert catalog.suitable_envoy(lambda: tmp_path) == tmp_path
    assert catalog.suitable_envoy(lambda: None) is None


def test_programs_in_several_folders_are_used_together_while_all_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folders = [tmp_path / "bin", tmp_path / "cni"]
    for folder, name in zip(folders, ("engine", "plugin"), strict=True):
        folder.mkdir()
        install(folder, "1", name)
    monkeypatch.setenv("PATH", str(folders[0]))
    tool = Tool("engine", "any", ("engine", "plugin"), (Installed(("engine", "plugin"), (str(folders[1]),)),))
    folder = ensure(tool)
    assert cached(tool) == folder and (folder / "plugin").resolve() == folders[1] / "plugin"
    (folders[1] / "plugin").unlink()
    assert cached(tool) is None
    with pytest.raises(ToolError, match="plugin is not installed"):
        ensure(tool)


@pytest.mark.parametrize(
    ("version", "host", "used"),
    [
        ("3.255.0", b"\x7fELF", True),
        ("3.256.0", b"\x7fELF", False),  # no test runs it
        ("3.255.0", b"#!/bin/sh\n", False),  # the embedded cloud's own folder of programs
        ("3.255.0", None, False),
    ],
)
def test_an_engine_on_path_is_used_at_the_tested_version_with_its_own_language_host(
    version: str, host: bytes | None, used: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    install(tmp_path, f"v{version}", *catalog.PULUMI.programs)
    if host:
        program = tmp_path / catalog.LANGUAGE_HOST
        program.write_bytes(host)
        program.chmod(0o755)
    for tool in (catalog.PULUMI, catalog.OFFICIAL_PULUMI):
        assert cached(tool) == (tmp_path if used else None)
