"""What authentication costs at the gateway: `.venv/bin/python -m bench.gateway`, as root, after `make setup`.

The gateway's own configuration in a real Envoy with one worker on one core; on another core the load (wrk), the upstream
(an Envoy that reads a request whole and answers 200) and a name server that knows every tenant. Each gateway that is compared
stands there all the time, and is asked for a second, in turn, there and back, since a machine's speed changes from second to
second; then all processes are started anew, since two of the same configuration differ by a tenth, by where their memory lies.
Of two variants the median of what they are to each other counts, in a generation of processes and over all of them. Load is
closed: as many requests are on their way as there are connections. What a thousand tenants cost is asked twice: over as many
connections as there are tenants, from both one and a thousand, since each tenant has a client; and over a few, where it is
the thousand connections to the back ends that cost.
"""

import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import urllib3
from rich.console import Console
from rich.table import Table

from bench.machine import machine
from components.access import UNLIMITED, Scope
from components.gateway_config import GatewaySettings, bootstrap
from components.gateway_files import ACCESS, TOKEN, WATCHED, access_file, keys_file, limits_files
from components.gateway_limits import GatewayLimits, Rate, TenantRates
from components.keys import canonical_pem, key_id
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from scripts.keyfiles import new_key
from scripts.signing import Grant, Signer
from tests.engine.names import asking
from tests.made_up_keys import made_up_keys
from tests.ports import free_port
from tests.remote_write import HEADERS, Series, request

INSTANCE, DOMAIN = "bench", "bench.example.com"
GATEWAY_CORE, LOAD_CORE = "0", "1"
UPSTREAM = "127.0.0.77"  # of loopback; on port 80, as the tenants' Services
CLIENTS, ROUNDS, GENERATIONS = 32, 3, 7
SERIES = 2000  # in a push: Prometheus's default of max_samples_per_send
TENANTS = 1000
SECONDS = {CLIENTS: 1, TENANTS: 2}  # of asking, by connections, which have to be opened first
WARMING_SECONDS = 2
NAMES = [f"tenant{number}" for number in range(TENANTS)]
# `on` is all that there is: as many keys and revocations as a gateway is to carry, tokens with scopes, address ranges and
# rates. `off` is the same without authentication: the host says whose ranges and rates hold.
Access = Literal["off", "on", "on, without JWT cache", "off, without limits"]
KEYS, REVOKED = 125, 10_000
# Counted, and never reached.
GENEROUS = TenantRates(Rate(10**6, 10**7), Rate(2**31, 2**31), Rate(10**6, 10**7))
Load = Literal["small", "push"]
FIGURES = ("rate", "p50", "p99")


LEAST: dict[Load, float] = {"push": 0.8, "small": 0.6}  # of the throughput without authentication


@dataclass(frozen=True)
class Variant:
    """One way to run the gateway, and what is asked of it."""

    access: Access
    load: Load
    tenants: int
    clients: int = CLIENTS


@dataclass(frozen=True)
class Result:
    """Requests a second; latencies in milliseconds."""

    rate: float
    p50: float
    p99: float


# What is compared stands side by side.
COMPARED: list[tuple[Access, int]] = [
    ("off", TENANTS),
    ("off", 1),
    ("on", 1),
    ("on", TENANTS),
    ("off, without limits", 1),
    ("on, without JWT cache", 1),
]
MANY_CLIENTS = COMPARED[:4]  # of as many clients as there are tenants
VARIANTS = [
    Variant(access, load, tenants, clients)
    for clients, compared in ((CLIENTS, COMPARED), (TENANTS, MANY_CLIENTS))
    for load in get_args(Load)
    for access, tenants in compared
]

# A request for each tenant is made beforehand; wrk then takes them in turn.
WRK_SCRIPT = """
local requests, at = {}, 0
function init(args)
  local body = nil
  if args[1] == "push" then
    local file = io.open(args[3], "rb")
    body = file:read("*a")
    file:close()
  end
  for line in io.lines(args[2]) do
    local host, token = line:match("^(%S+) (%S+)$")
    local headers = {["Host"] = host, ["Authorization"] = "Bearer " .. token}
    if body then
      for name, value in pairs(HEADERS) do headers[name] = value end
      requests[#requests + 1] = wrk.format("POST", "/api/v1/push", headers, body)
    else
      requests[#requests + 1] = wrk.format("GET", "/api/v1/labels", headers)
    end
  end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
function done(summary, latency)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout + summary.errors.status
  print(string.format('RESULT {"requests": %d, "microseconds": %d, "failed": %d, "p50": %f, "p99": %f}',
    summary.requests, summary.duration, failed, latency:percentile(50), latency:percentile(99)))
end
"""


def push_body() -> bytes:
    """Return a push as Prometheus sends it when it has much to send: `SERIES` series of a node, a sample each."""
    drawn = random.Random(1)

    def series(number: int) -> Series:
        labels = {
            "__name__": f"node_metric_{number % 200}_total",
            "instance": f"10.0.{number % 40}.17:9100",
            "job": "node-exporter",
        }
        labels |= {"cluster": "production", "device": f"disk{number % 7}", "namespace": "monitoring"}
        return labels, [(time.time(), drawn.random() * 1e6)]

    return request(*(series(number) for number in range(SERIES)))


class Bench:
    """The processes beside the gateway, and the files that they read."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._envoy = str(ensure(catalog.ENVOY) / "envoy")
        self._wrk = str(ensure(catalog.WRK) / "wrk")
        self._key = new_key()
        self._more_keys = made_up_keys(KEYS - 1)
        self._stack = stack
        self._dns_port = free_port()
        self._ports: dict[tuple[Access, int], int] = {}
        self._write_load()
        stack.enter_context(
            _running(LOAD_CORE, folder / "dns.log", str(ensure(catalog.COREDNS) / "coredns"), "-conf", self._corefile())
        )
        stack.enter_context(
            _running(LOAD_CORE, folder / "upstream.log", self._envoy, *self._options("upstream", _upstream()))
        )

    def _corefile(self) -> str:
        file = self._folder / "Corefile"
        zone = f".:{self._dns_port}"
        file.write_text(
            f'{zone} {{\n bind 127.0.0.1\n template IN A {{\n  answer "{{{{ .Name }}}} 60 IN A {UPSTREAM}"\n }}\n'
            " template IN AAAA {\n  rcode NOERROR\n }\n}\n"
        )
        return str(file)

    def _write_load(self) -> None:
        signer = Signer(self._key)
        scopes: tuple[Scope, ...] = ("metrics:write", "metrics:read")
        tokens = {name: signer.token(Grant(INSTANCE, name, scopes=scopes)) for name in NAMES}
        lines = [f"cortex.{name}.{DOMAIN} {token}\n" for name, token in tokens.items()]
        (self._folder / "tenants-1").write_text(lines[0])
        (self._folder / f"tenants-{TENANTS}").write_text("".join(lines))
        (self._folder / "push").write_bytes(push_body())
        table = ", ".join(f"[{json.dumps(name)}] = {json.dumps(value)}" for name, value in HEADERS.items())
        (self._folder / "load.lua").write_text(f"local HEADERS = {{{table}}}\n{WRK_SCRIPT}")

    def _options(self, name: str, config: Mapping[str, Any]) -> list[str]:
        file = self._folder / f"{name}.json"
        file.write_text(json.dumps(config))
        return [
            "-c",
            str(file),
            "--concurrency",
            "1",
            "--disable-hot-restart",
            "--log-level",
            "warn",
            "--use-dynamic-base-id",
        ]

    def _gateway(self, access: Access, folder: Path, port: int) -> dict[str, Any]:
        """Return a gateway's configuration, with the name server of this bench; its watched files go into `folder`."""
        settings = GatewaySettings(INSTANCE, DOMAIN, authentication=access.startswith("on"), legacy_push_errors=False)
        limited = access != "off, without limits"
        key = self._key.public_key()
        public = {key_id(key): canonical_pem(key)} | self._more_keys
        keys = json.loads(keys_file(INSTANCE, public))
        if access == "on, without JWT cache":
            del keys["resources"][0]["typed_config"]["providers"]["tenant"]["jwt_cache_config"]
        ranges = dict.fromkeys(NAMES, ("127.0.0.0/8",))
        revoked = [str(uuid.uuid4()) for _ in range(REVOKED)]
        texts = limits_files(GatewayLimits(GENEROUS, addresses=ranges) if limited else GatewayLimits(), 1)
        texts |= {TOKEN: json.dumps(keys), ACCESS: access_file(dict.fromkeys(public, UNLIMITED), revoked)}
        for watched, text in texts.items():
            (folder / watched.file).write_text(text)
        text = bootstrap(settings)
        for watched in WATCHED:
            text = text.replace(watched.folder, str(folder))
        config = asking(self._dns_port, json.loads(text))
        del config["admin"]
        main, *_ = config["static_resources"]["listeners"]
        config["static_resources"]["listeners"] = [main]
        main["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": port}
        del main["listener_filters"]  # no load balancer stands before this one
        return dict(config)

    def start(self, access: Access, tenants: int) -> None:
        """Start the gateway that so many tenants are asked of, and wait until it answers."""
        name = f"gateway-{len(self._ports)}"
        (self._folder / name).mkdir()
        port = free_port()
        options = self._options(name, self._gateway(access, self._folder / name, port))
        self._stack.enter_context(_running(GATEWAY_CORE, self._folder / f"{name}.log", self._envoy, *options))
        self._await_200(name, port)
        self._ports[access, tenants] = port

    def run(self, variant: Variant, seconds: int = 0) -> Result:
        """Ask the variant's gateway, for so long or as long as it is asked by so many."""
        found = self._load(variant, seconds or SECONDS[variant.clients])
        if found["failed"]:
            sys.exit(f"{variant}: {found['failed']} of {found['requests']} requests failed")
        return Result(found["requests"] / found["microseconds"] * 1e6, found["p50"] / 1000, found["p99"] / 1000)

    def _await_200(self, name: str, port: int) -> None:
        host, token = (self._folder / "tenants-1").read_text().split()
        headers = {"Host": host, "Authorization": f"Bearer {token}"}
        status, deadline = 0, time.monotonic() + 15
        while status != 200:
            if time.monotonic() > deadline:
                sys.exit(f"the gateway answers {status}: {(self._folder / f'{name}.log').read_text()[-2000:]}")
            try:
                status = urllib3.request(
                    "GET", f"http://127.0.0.1:{port}/api/v1/labels", headers=headers, retries=False
                ).status
            except urllib3.exceptions.HTTPError:
                pass  # it does not listen yet
            time.sleep(0.05)

    def _load(self, variant: Variant, seconds: int) -> dict[str, Any]:
        script, lines = str(self._folder / "load.lua"), str(self._folder / f"tenants-{variant.tenants}")
        wrk = [self._wrk, "-t", "1", "-c", str(variant.clients), "-d", f"{seconds}s", "-s", script]
        at = f"http://127.0.0.1:{self._ports[variant.access, variant.tenants]}"
        command = ["taskset", "-c", LOAD_CORE, *wrk, at, "--", variant.load, lines, str(self._folder / "push")]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 60)
        line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
        return dict(json.loads(line.removeprefix("RESULT ")))


def _upstream() -> dict[str, Any]:
    """Return the configuration of the upstream: every request is read to its end, and answered 200."""
    http = "type.googleapis.com/envoy.extensions.filters.http"
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "upstream",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}],
                }
            ]
        },
        "http_filters": [
            {"name": "buffer", "typed_config": {"@type": f"{http}.buffer.v3.Buffer", "max_request_bytes": 4_000_000}},
            {"name": "router", "typed_config": {"@type": f"{http}.router.v3.Router"}},
        ],
    }
    listener = {
        "name": "upstream",
        "address": {"socket_address": {"address": UPSTREAM, "port_value": 80}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return {"static_resources": {"listeners": [listener]}}


@contextmanager
def _running(core: str, log: Path, *command: str) -> Iterator[None]:
    """Run a command on one core of this machine, and end it."""
    with (
        log.open("w") as file,
        subprocess.Popen(["taskset", "-c", core, *command], stdout=file, stderr=file) as process,
    ):
        try:
            yield
        finally:
            process.kill()


Rounds = list[Mapping[Variant, Result]]


@dataclass(frozen=True)
class Ratio:
    """What two variants are to each other: in words, its limit, whether that is kept; by generation of processes."""

    words: str
    of: Variant
    to: Variant
    figure: str = "rate"
    least: float | None = None
    most: float | None = None

    def found(self, generations: Sequence[Rounds]) -> list[float]:
        """Return the ratio of each generation, from the smallest: the median of its rounds."""

        def ratio(round_: Mapping[Variant, Result]) -> float:
            return float(getattr(round_[self.of], self.figure) / getattr(round_[self.to], self.figure))

        return sorted(statistics.median(map(ratio, rounds)) for rounds in generations)

    def is_kept(self, ratio: float) -> bool:
        """Tell whether the ratio is within its limit."""
        return (self.least is None or ratio >= self.least) and (self.most is None or ratio <= self.most)

    def limit(self) -> str:
        """Return the limit in words."""
        return f"at least {self.least}" if self.least else f"at most {self.most}" if self.most else ""


def _ratios() -> Iterator[Ratio]:
    for load, least in LEAST.items():
        off, on = Variant("off", load, 1), Variant("on", load, 1)
        off_many, on_many = Variant("off", load, TENANTS), Variant("on", load, TENANTS)
        yield Ratio(f"{load}: throughput with authentication to that without", on, off, least=least)
        yield Ratio(
            f"{load}: with limits to that without, both without authentication",
            off,
            Variant("off, without limits", load, 1),
        )
        yield Ratio(f"{load}: p99 with authentication to that without", on, off, "p99", most=1.5)
        each, one = Variant("on", load, TENANTS, TENANTS), Variant("on", load, 1, TENANTS)
        yield Ratio(f"{load}: {TENANTS} tenants to one, over {TENANTS} connections", each, one, least=0.95)
        yield Ratio(
            f"{load}: the same, without authentication", replace(each, access="off"), replace(one, access="off")
        )
        yield Ratio(f"{load}: {TENANTS} tenants to one, over {CLIENTS} connections", on_many, on)
        yield Ratio(f"{load}: the same, without authentication", off_many, off)


def _generation() -> Rounds:
    """Start everything anew, and measure some rounds."""
    rounds: Rounds = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        bench = Bench(Path(folder), stack)
        for access, tenants in COMPARED:
            bench.start(access, tenants)
        for variant in VARIANTS:  # until each tenant's name and token were seen
            bench.run(variant, WARMING_SECONDS)
        for number in range(ROUNDS):
            order = VARIANTS[:: -1 if number % 2 else 1]
            rounds.append({variant: bench.run(variant) for variant in order})
    return rounds


def main() -> None:
    """Measure and print."""
    generations: list[Rounds] = []
    for number in range(GENERATIONS):
        print(f"generation {number + 1} of {GENERATIONS}", file=sys.stderr)
        generations.append(_generation())
    rounds = [round_ for generation in generations for round_ in generation]
    console = Console(width=120)
    size = len(push_body())
    title = f"The gateway on one core; a push has {size:,} bytes; {machine()}"
    columns = ("authentication", "load", "tenants", "connections", "requests/s", "p50 ms", "p99 ms")
    table = Table(*columns, title=title, title_justify="left")
    for variant in VARIANTS:
        rate, p50, p99 = (statistics.median(getattr(round_[variant], name) for round_ in rounds) for name in FIGURES)
        counts = (f"{variant.tenants:,}", f"{variant.clients:,}")
        table.add_row(variant.access, variant.load, *counts, f"{rate:,.0f}", f"{p50:.2f}", f"{p99:.2f}")
    console.print(table)
    table = Table("ratio", "measured", "from", "to", "limit", "", title_justify="left")
    kept = True
    for ratio in _ratios():
        found = ratio.found(generations)
        middle = statistics.median(found)
        kept &= ratio.is_kept(middle)
        figures = (f"{figure:.2f}" for figure in (middle, found[0], found[-1]))
        table.add_row(ratio.words, *figures, ratio.limit(), "" if ratio.is_kept(middle) else "MISSED")
    console.print(table)
    sys.exit(not kept)


if __name__ == "__main__":
    main()
