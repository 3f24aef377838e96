"""The folders of the user's state and tools: the same as in platformdirs, except for odd values of the variables."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from platformdirs.unix import Unix

from localcloud.folders import cache_folder, state_folder


class Kind(NamedTuple):
    """One of the folders: its function, its variable, its default below HOME, and its path by platformdirs."""

    folder: Callable[[], Path]
    variable: str
    default: str
    standard: Callable[[], Path]


STATE = Kind(state_folder, "XDG_STATE_HOME", ".local/state", lambda: Unix("opstrace").user_state_path)
CACHE = Kind(cache_folder, "XDG_CACHE_HOME", ".cache", lambda: Unix("opstrace").user_cache_path)


@pytest.mark.parametrize("kind", [STATE, CACHE])
@pytest.mark.parametrize("value", [None, "", "/x", "/x/../y", "/with space/", "/trailing "])
def test_absolute_paths_give_the_folder_of_the_specification(
    kind: Kind, value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.delenv(kind.variable, raising=False)
    if value is not None:
        monkeypatch.setenv(kind.variable, value)
    assert kind.folder() == kind.standard() == Path(value or f"/home/somebody/{kind.default}") / "opstrace"


@pytest.mark.parametrize("kind", [STATE, CACHE])
def test_a_relative_path_keeps_its_meaning(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kind.variable, "relative")
    assert kind.folder() == Path("relative/opstrace")
    assert kind.standard() != kind.folder()  # else platformdirs could be used
