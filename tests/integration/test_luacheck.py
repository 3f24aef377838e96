"""The linter of the gateway's Lua finds undefined and unused names."""

import pytest

from components.gateway import lua_filters
from tests.support import luacheck


@pytest.mark.parametrize("defect", ["local unused = 1", "function envoy_on_request(handle) handel:logInfo(1) end"])
def test_a_defect_in_a_filter_fails_the_lint(defect: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert luacheck.check({"defective": defect}) == 1
    assert "defective.lua:1" in capfd.readouterr().out


def test_every_lua_file_of_the_gateway_is_linted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert luacheck.check(luacheck.filters()) == 0
    monkeypatch.setattr(lua_filters, "refuse_connection", lua_filters.close_refused)
    with pytest.raises(ValueError, match="no filter here uses refuse_connection"):
        luacheck.filters()
