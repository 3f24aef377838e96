"""A slot is taken while its node runs, and not by what an ended node leaves."""

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from localcloud.errors import LocalCloudError
from localcloud.node import namespaces, network
from localcloud.settings import Settings

SLOT = 3


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(namespaces, "FOREIGN_SECONDS", 0.1)
    return Settings(SLOT, tmp_path)


def meet(monkeypatch: pytest.MonkeyPatch, *, slot: int | None, is_connected: bool) -> None:
    """Let a node of this slot run, None for no node."""
    command = ["python", "-P", "-m", namespaces.FIRST_PROCESS, "/home/other", str(slot), "{}", "[]"]
    running = [SimpleNamespace(info={"cmdline": command})] if slot is not None else []
    ended = SimpleNamespace(info={"cmdline": None})  # psutil's answer about a zombie
    monkeypatch.setattr(psutil, "process_iter", lambda _: [ended, *running])
    monkeypatch.setattr(network, "is_connected", lambda _: is_connected)


def test_a_free_slot_is_own(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    meet(monkeypatch, slot=None, is_connected=False)
    namespaces.require_own(settings)


def test_a_running_node_of_another_folder_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    meet(monkeypatch, slot=SLOT, is_connected=True)
    with pytest.raises(LocalCloudError, match="slot 3 has an embedded cloud with another HOME"):
        namespaces.require_own(settings)


def test_the_interface_of_an_ended_node_is_no_node(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    meet(monkeypatch, slot=SLOT + 1, is_connected=True)
    namespaces.require_own(settings)
