"""How many engines run at once by default."""

from types import SimpleNamespace

import pytest

from scripts.updates.parallelism import MEMORY_PER_ENGINE, default_parallelism


@pytest.mark.parametrize(("free", "expected"), [(100, 8), (3.5, 3), (0.2, 1)])
def test_processors_and_free_memory_decide(monkeypatch: pytest.MonkeyPatch, free: float, expected: int) -> None:
    memory = SimpleNamespace(available=int(free * MEMORY_PER_ENGINE))
    monkeypatch.setattr("scripts.updates.parallelism.psutil.virtual_memory", lambda: memory)
    monkeypatch.setattr("scripts.updates.parallelism.os.sched_getaffinity", lambda _: {*range(8)})
    assert default_parallelism() == expected
