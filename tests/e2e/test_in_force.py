"""Keys, revocations, limits and tenants change under load: each change takes effect soon, and no request fails."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from components.core.public_keys import key_id
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from scripts.tokens.key_files import read_key_pair
from tests.e2e.test_limits import applied
from tests.e2e.test_tenants import tenants
from tests.e2e.test_tokens import BAD, IN_FORCE_SECONDS, everywhere
from tests.support.polling import eventually
from tests.support.remote_write import HEADERS, request
from tests.support.user_session import DOMAIN, INSTANCE, LABELS, PORT, UserSession, gateway_is_current, is_unknown, url

NEW = "arriving"
A_SECOND = 500  # at least, on average
PACE = 1000  # while `pulumi up` and the test's own requests leave the machine idle
CONNECTIONS = 100
MADE_UP_MILLISECONDS = "10000"
LOAD_SECONDS = 600  # at most; the test ends it
pytestmark = pytest.mark.nightly

# wrk's script. Each connection pushes the same sample again and again: the cheapest request that reaches a back end, since
# two cores run everything, updates included. The connections take turns at an even pace, and catch up after a delay.
# The number of answers by status is written to a file every second.
SCRIPT = """
local ffi = require("ffi")
ffi.cdef("typedef struct { long s; long ns; } moment; int clock_gettime(int clock, moment *now);")
local read = ffi.new("moment")
local function milliseconds()
  ffi.C.clock_gettime(1, read)  -- CLOCK_MONOTONIC
  return tonumber(read.s) * 1000 + tonumber(read.ns) / 1e6
end
local turn = milliseconds()
function delay()
  local now = milliseconds()
  turn = math.max(turn + __PAUSE__, now - __MADE_UP__)
  return math.max(0, math.floor(turn - now))
end
local counted = {}
function response(status) counted[status] = (counted[status] or 0) + 1; tell() end
local told = 0
function tell()
  if os.time() == told then return end
  told = os.time()
  local parts = {}
  for status, count in pairs(counted) do parts[#parts + 1] = string.format('"%d": %d', status, count) end
  local file = io.open("__FILE__.new", "w")
  file:write("{" .. table.concat(parts, ", ") .. "}")
  file:close()
  os.rename("__FILE__.new", "__FILE__")
end
"""


class Steady:
    """Requests by wrk at an even pace, over connections that stay open."""

    def __init__(self, walk: UserSession, token: str) -> None:
        self._file = walk.folder / "steady.json"
        script, body = walk.folder / "steady.lua", walk.folder / "steady.body"
        body.write_bytes(request(({"__name__": "steady"}, [(time.time(), 1.0)])))
        script.touch(0o600)
        pause = str(1000 / PACE)
        headers = {"Authorization": f"Bearer {token}", "Host": f"cortex.default.{DOMAIN}", **HEADERS}
        lines = [f'wrk.headers["{name}"] = "{value}"\n' for name, value in headers.items()]
        text = SCRIPT.replace("__PAUSE__", pause).replace("__MADE_UP__", MADE_UP_MILLISECONDS)
        lines += ['wrk.method = "POST"\n', f'wrk.body = io.open("{body}", "rb"):read("*a")\n']
        script.write_text("".join(lines) + text.replace("__FILE__", str(self._file)))
        program = str(ensure(catalog.WRK) / "wrk")
        load = ["-t", "1", "-c", str(CONNECTIONS), "-d", f"{LOAD_SECONDS}s", "-s", str(script)]
        self._command = [program, *load, f"https://127.0.0.1:{PORT}/api/v1/push"]
        self._output = walk.folder / "steady.log"

    def __enter__(self) -> "Steady":
        with self._output.open("w") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        self._started = time.monotonic()
        return self

    def __exit__(self, *error: object) -> None:
        self.seconds = time.monotonic() - self._started
        self._process.send_signal(signal.SIGINT)
        self._process.wait(20)

    def answered(self) -> dict[str, int]:
        """Return the number of answers by status."""
        return dict(json.loads(self._file.read_text()))

    def output(self) -> str:
        """Return wrk's output, which names errors."""
        return self._output.read_text()


def _seconds_until(check: Callable[[], bool]) -> float:
    return eventually(check, IN_FORCE_SECONDS, 0.2)


@pytest.mark.usefixtures("file_as_before")
def test_changes_are_in_force_within_90_s_under_load_and_no_request_fails(walk: UserSession, trusted_pair: str) -> None:
    lost, good, limited, new = (
        walk.opstrace("ta-create-token", INSTANCE, tenant, trusted_pair).stdout
        for tenant in ("default", "default", "system", NEW)
    )
    (walk.folder / "lost.jwt").write_text(lost)
    walk.opstrace("ta-create-keypair", "fresh.pem")
    fresh = walk.opstrace("ta-create-token", INSTANCE, "default", "fresh.pem").stdout
    kid = key_id(read_key_pair(Path(walk.folder / "fresh.pem")).public_key())
    address, system_address = url("cortex", "default", LABELS), url("cortex", "system", LABELS)
    seconds_until = {}
    with Steady(walk, good) as load:
        time.sleep(3)
        opened = walk.curl(address, token=good)
        assert opened[0] == 200
        walk.opstrace("ta-revoke-token", "local", INSTANCE, "lost.jwt")
        seconds_until["a revocation"] = _seconds_until(
            lambda: everywhere(walk, address, lost, (401, f"{BAD}: revoked"))
        )
        walk.opstrace("ta-pubkeys-add", "local", INSTANCE, "fresh.pem")
        seconds_until["a new key"] = _seconds_until(lambda: everywhere(walk, address, fresh, opened))
        walk.opstrace("ta-pubkeys-remove", "local", INSTANCE, kid)
        seconds_until["a key that goes"] = _seconds_until(lambda: everywhere(walk, address, fresh, (401, BAD)))
        applied(walk, tenants={"system": {"allowedCidrs": ["203.0.113.0/24"]}})
        refused = (403, "this tenant takes nothing from your address")
        seconds_until["a tenant's address ranges"] = _seconds_until(
            lambda: everywhere(walk, system_address, limited, refused)
        )
        applied(walk, tenants={"system": {"rates": {"requestsPerSecond": 1, "requestBurst": 1}}})
        seconds_until["a tenant's rates"] = _seconds_until(lambda: gateway_is_current(walk))
        assert 429 in [walk.curl(system_address, token=limited)[0] for _ in range(8)]
        tenants(walk, "add", NEW)
        seconds_until["a new tenant"] = _seconds_until(
            lambda: all(walk.curl(url("cortex", NEW, LABELS), token=new)[0] == 200 for _ in range(15))
        )
        tenants(walk, "remove", NEW, "--purge", "--yes")
        seconds_until["a tenant that goes"] = _seconds_until(lambda: is_unknown(walk, NEW, new))
    answers = load.answered()
    rate = sum(answers.values()) / load.seconds
    print(f"{rate:.0f} requests a second, answered {answers}; in force after `pulumi up` returned:")
    for what, seconds in seconds_until.items():
        print(f"  {what}: {seconds:.1f} s")
    assert rate >= A_SECOND
    assert {*answers} == {"200"}
    assert "Socket errors" not in load.output() and "Non-2xx" not in load.output(), load.output()
