"""The images of the node: that of the collector may come later than the node itself."""

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from components.core.images import COLLECTOR_IMAGE, IMAGES
from localcloud.errors import ToolError
from localcloud.node import images
from localcloud.toolchain import catalog

TOOLS = (catalog.PAUSE, catalog.CORTEX, catalog.LOKI, catalog.ENVOY)


def test_the_node_has_the_collector_s_image_only_if_its_program_is_built() -> None:
    programs = {tool.name: f"/tools/{tool.name}" for tool in TOOLS}
    without = {image.name for image in images.images(programs)}
    assert without == {images.PAUSE, *IMAGES} - {COLLECTOR_IMAGE}
    every = images.images(programs | {"otelcol": "/tools/otelcol"})
    assert {image.name for image in every} - without == {COLLECTOR_IMAGE}
    assert every[-1].program == Path("/tools/otelcol/otelcol")


class Node:
    """What `main` does to the node."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.done: list[Any] = []
        self.reason = ""
        monkeypatch.setattr(sys, "argv", ["images", str(tmp_path), "3", "/tools/containerd"])
        monkeypatch.setattr(images, "ensure", self._ensure)
        monkeypatch.setattr(images, "archive", lambda image: Path(image.name))
        monkeypatch.setattr(images, "import_archive", lambda *parts: self.done.append(parts))
        monkeypatch.setattr(images, "Cluster", lambda _: self)
        monkeypatch.setattr(time, "sleep", self.done.append)

    def _ensure(self, _: object) -> Path:
        if self.reason:
            raise ToolError(self.reason)
        return Path("/tools/otelcol")

    def call(self, *request: str) -> None:
        self.done.append(request)


def test_the_image_that_comes_later_is_imported_and_pods_that_wait_for_it_start_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    node = Node(monkeypatch, tmp_path)
    images.main()
    assert node.done == [
        ("/tools/containerd", Path(COLLECTOR_IMAGE)),
        ("DELETE", "/api/v1/namespaces/opstrace-collectors/pods"),
    ]


def test_a_build_that_fails_is_told_and_tried_again_after_a_pause(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node = Node(monkeypatch, tmp_path)
    node.reason = "no Go toolchain"
    with pytest.raises(SystemExit) as ended:
        images.main()
    assert (ended.value.code, node.done) == (1, [images.RETRY_SECONDS])
    assert "no Go toolchain; trying again in 300 s" in capsys.readouterr().out
