"""The processes of `bench.gateway`: gateways, load, upstream and name server, and the files that they read."""

import json
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

import psutil
import urllib3

from components.core.public_keys import canonical_pem, key_id
from components.core.scopes import UNLIMITED, Scope
from components.gateway.envoy import bootstrap
from components.gateway.limits import GatewayLimits, Rate, TenantRates
from components.gateway.settings import GatewaySettings
from components.gateway.watched_files import ACCESS, TOKEN, WATCHED, access_file, keys_file, limits_files
from localcloud.supervisor import until
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from scripts.tokens.key_files import new_key
from scripts.tokens.signing import Grant, Signer
from tests.support.name_server import with_name_server
from tests.support.placeholder_keys import placeholder_keys
from tests.support.ports import free_port
from tests.support.remote_write import HEADERS, Series, request

INSTANCE, DOMAIN = "bench", "bench.example.com"
GATEWAY_CORE, LOAD_CORE = "0", "1"
UPSTREAM = "127.0.0.77"  # on loopback, with port 80 like the tenants' Services
CLIENTS = 32
SERIES = 2000  # in a push: Prometheus's default of max_samples_per_send
TENANTS = 1000
# By the number of connections; includes the time to open them. A thousand pushes at once take a second to come to their
# end, and most of them come to it together.
SECONDS = {CLIENTS: 1, TENANTS: 5}
WARMING_SECONDS = {CLIENTS: 1, TENANTS: 2}
START_SECONDS = 15
SLOWEST_SECONDS = 30  # of a request that counts; wrk's default of 2 s calls those failed that 1,000 connections delay
NAMES = [f"tenant{number}" for number in range(TENANTS)]
# `on` uses every feature: as many keys and revocations as a gateway must support, tokens with scopes, address ranges and
# rate limits. `off` is the same without authentication: the host name selects the tenant's ranges and limits.
Access = Literal["off", "on", "on, without JWT cache", "off, without limits"]
KEYS, REVOKED = 125, 10_000
# Limits that are counted but never reached.
GENEROUS = TenantRates(Rate(10**6, 10**7), Rate(2**31, 2**31), Rate(10**6, 10**7))
Load = Literal["small", "push"]


@dataclass(frozen=True)
class Variant:
    """A configuration of the gateway, and the load on it."""

    access: Access
    load: Load
    tenants: int
    clients: int = CLIENTS

    @property
    def gateway(self) -> tuple[Access, int, int]:
        """The gateway that serves this load. Its caches, and what many connections leave in its memory, are its own."""
        return self.access, self.tenants, self.clients


@dataclass(frozen=True)
class Result:
    """Requests a second, latencies in milliseconds, and the gateway's CPU time of a request in microseconds."""

    rate: float
    p50: float
    p99: float
    cpu: float

    @property
    def core(self) -> float:
        """The share of its core that the gateway uses."""
        return self.rate * self.cpu / 1e6


# wrk prepares a request for each tenant, and sends them in turn.
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
    """Return a push like Prometheus's largest: `SERIES` series of a node with a sample each."""
    generator = random.Random(1)  # noqa: S311 made-up samples

    def series(number: int) -> Series:
        labels = {
            "__name__": f"node_metric_{number % 200}_total",
            "instance": f"10.0.{number % 40}.17:9100",
            "job": "node-exporter",
        }
        labels |= {"cluster": "production", "device": f"disk{number % 7}", "namespace": "monitoring"}
        return labels, [(time.time(), generator.random() * 1e6)]

    return request(*(series(number) for number in range(SERIES)))


class Bench:
    """The processes of one generation, which end with `stack`; their files are in `folder`."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._envoy = str(ensure(catalog.ENVOY) / "envoy")
        self._wrk = str(ensure(catalog.WRK) / "wrk")
        self._key = new_key()
        self._more_keys = placeholder_keys(KEYS - 1)
        self._stack = stack
        self._dns_port = free_port()
        self._gateways: dict[Hashable, tuple[int, psutil.Process]] = {}
        self._write_load()
        # Behind a load that takes its whole core, the name server would lose queries. Each costs the gateway a second.
        name_server = ("nice", "-n", "-10", str(ensure(catalog.COREDNS) / "coredns"), "-conf", self._corefile())
        stack.enter_context(_running(LOAD_CORE, folder / "dns.log", *name_server))
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
        tokens = {name: signer.token(Grant(instance=INSTANCE, tenant=name, scopes=scopes)) for name in NAMES}
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
        """Return a gateway's configuration with the name server of this bench; write its watched files to `folder`."""
        settings = GatewaySettings(
            instance=INSTANCE, domain=DOMAIN, authentication=access.startswith("on"), legacy_push_errors=False
        )
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
        config = with_name_server(self._dns_port, json.loads(text))
        del config["admin"], config["dynamic_resources"]  # no log is followed
        main, *_ = config["static_resources"]["listeners"]
        config["static_resources"]["listeners"] = [main]
        main["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": port}
        del main["listener_filters"]  # there is no load balancer in front
        return dict(config)

    def start(self, key: Hashable, access: Access, change: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
        """Start a gateway that `run` finds by `key`, and wait until it answers. `change` gets its configuration."""
        name = f"gateway-{len(self._gateways)}"
        (self._folder / name).mkdir()
        port = free_port()
        config = self._gateway(access, self._folder / name, port)
        change(config)
        command = (self._envoy, *self._options(name, config))
        process = self._stack.enter_context(_running(GATEWAY_CORE, self._folder / f"{name}.log", *command))
        self._await_200(name, port)
        self._gateways[key] = port, psutil.Process(process)

    def warmed(self, key: Hashable, variant: Variant) -> Result:
        """Measure the gateway of `key` under a variant's load once its names are resolved and its tokens are cached."""
        port, _ = self._gateways[key]
        self._load(port, variant, WARMING_SECONDS[variant.clients])
        return self.measured(key, variant)

    def measured(self, key: Hashable, variant: Variant) -> Result:
        """Measure the gateway of `key` under a variant's load."""
        port, process = self._gateways[key]
        before = process.cpu_times()
        done = self._load(port, variant, SECONDS[variant.clients])
        after = process.cpu_times()
        if done["failed"] or not done["requests"]:
            sys.exit(f"{variant}: {done['failed']} of {done['requests']} requests failed")
        rate = done["requests"] / done["microseconds"] * 1e6
        cpu = (after.user + after.system - before.user - before.system) / done["requests"] * 1e6
        return Result(rate, done["p50"] / 1000, done["p99"] / 1000, cpu)

    def _await_200(self, name: str, port: int) -> None:
        host, token = (self._folder / "tenants-1").read_text().split()
        headers = {"Host": host, "Authorization": f"Bearer {token}"}
        url = f"http://127.0.0.1:{port}/api/v1/labels"
        status = 0

        def is_ok() -> bool:
            nonlocal status
            try:
                status = urllib3.request("GET", url, headers=headers, retries=False).status
            except urllib3.exceptions.HTTPError:  # it does not listen yet
                return False
            return status == HTTPStatus.OK

        if not until(is_ok, START_SECONDS, 0.05):
            sys.exit(f"the gateway answers {status}: {(self._folder / f'{name}.log').read_text()[-2000:]}")

    def _load(self, port: int, variant: Variant, seconds: int) -> dict[str, Any]:
        script, lines = str(self._folder / "load.lua"), str(self._folder / f"tenants-{variant.tenants}")
        durations = ("-d", f"{seconds}s", "--timeout", f"{SLOWEST_SECONDS}s")
        wrk = [self._wrk, "-t", "1", "-c", str(variant.clients), *durations, "-s", script]
        url = f"http://127.0.0.1:{port}"
        command = ["taskset", "-c", LOAD_CORE, *wrk, url, "--", variant.load, lines, str(self._folder / "push")]
        result = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 60)
        line = next(line for line in result.stdout.splitlines() if line.startswith("RESULT "))
        return dict(json.loads(line.removeprefix("RESULT ")))


def _upstream() -> dict[str, Any]:
    """Return the configuration of the upstream, which reads every request to its end and answers 200."""
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
def _running(core: str, log: Path, *command: str) -> Iterator[int]:
    """Run a command on one core of this machine until the block ends; yields its process id."""
    with (
        log.open("w") as file,
        subprocess.Popen(["taskset", "-c", core, *command], stdout=file, stderr=file) as process,
    ):
        try:
            yield process.pid
        finally:
            process.kill()
