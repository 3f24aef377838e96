"""Lint the gateway's Lua: `python -m tests.support.luacheck` runs luacheck over the code of every filter.

A filter is assembled from several files, so the files alone would show false warnings.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from components.core.scopes import KeyLimits
from components.gateway import lua_filters
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from scripts.ui.terminal import TERMINAL

DOMAIN = "lint.example.com"
KEYS = {"0" * 40: KeyLimits(tenants=("lint",), scopes=("metrics:read",), not_after=1)}
OPTIONS = [
    *("--std", "luajit", "--globals", "envoy_on_request", "envoy_on_response", "PARAMETERS"),
    *("--no-max-line-length", "--no-color", "--quiet"),
]


def filters() -> dict[str, str]:
    """Return the code of every filter, by a name for the report."""
    code = {
        "at_tenant": lua_filters.before_authentication("cortex", DOMAIN, authentication=True, per_address=True),
        "at_tenant_open": lua_filters.before_authentication("cortex", DOMAIN, authentication=False),
        "at_instance": lua_filters.before_authentication_at_instance(DOMAIN, per_address=True),
        "after_authentication": lua_filters.after_authentication(KEYS, ["lint"]),
        "refuse_connection": lua_filters.refuse_connection(),
        "close_refused": lua_filters.close_refused(),
        "closed_path": lua_filters.closed_path(),
        "before_bytes": lua_filters.before_bytes(),
        "cut_body": lua_filters.cut_body(),
        "push_answers": lua_filters.push_answers(legacy_errors=True),
    }
    names = {file.stem for file in lua_filters.FILES.glob("*.lua")}
    if unchecked := [name for name in names if not any(lua_filters.source(name) in text for text in code.values())]:
        raise ValueError(f"no filter here uses {', '.join(sorted(unchecked))}: add one that does")
    return code


def command() -> tuple[list[str], Mapping[str, str]]:
    """Return the command that starts luacheck, and its environment; fetches luacheck where PATH has none."""
    if installed := shutil.which("luacheck"):
        return [installed], os.environ
    folder = ensure(catalog.LUACHECK, TERMINAL)
    lua = folder / "root/usr/share/lua/5.1"
    libraries = folder / "root/usr/lib/x86_64-linux-gnu/lua/5.1"
    paths = {"LUA_PATH": f"{lua}/?.lua;{lua}/?/init.lua", "LUA_CPATH": f"{libraries}/?.so"}
    return [str(folder / "lua5.1"), str(folder / "root/usr/bin/luacheck")], os.environ | paths


def check(code: Mapping[str, str]) -> int:
    """Print what luacheck finds in the code, and return its exit code: 0 without a finding."""
    start, environment = command()
    with tempfile.TemporaryDirectory() as folder:
        for name, text in code.items():
            (Path(folder) / f"{name}.lua").write_text(text)
        return subprocess.run([*start, *OPTIONS, "."], cwd=folder, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(check(filters()))
