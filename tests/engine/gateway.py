"""A real Envoy with the gateway's configuration, on loopback and before a back end that tells what reached it."""

import json
import os
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import urllib3

from components.access import UNLIMITED, KeyLimits
from components.gateway_config import ADMIN_COUNTERS, ADMIN_FILTERS, GatewaySettings, bootstrap
from components.gateway_files import (
    ACCESS,
    RATES,
    TOKEN,
    WATCHED,
    WatchedFile,
    access_file,
    keys_file,
    limits_files,
)
from components.gateway_limits import GatewayLimits
from components.gateway_lua import TURN_SECONDS, UPSTREAM_HEADER
from components.keys import canonical_pem, key_id
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from scripts.gateway_state import PodState, filters_in, pod_state
from scripts.keyfiles import new_key
from scripts.signing import Grant, Signer
from tests.bodies import read_body
from tests.engine.names import asking
from tests.ports import free_ports
from tests.waiting import eventually

SETTINGS = GatewaySettings("showdown", "showdown.example.com", authentication=True, legacy_push_errors=False)
KEY, OTHER_KEY = new_key(), new_key()
KID, OTHER = key_id(KEY.public_key()), key_id(OTHER_KEY.public_key())
KEYS = {KID: canonical_pem(KEY.public_key())}
BOTH = KEYS | {OTHER: canonical_pem(OTHER_KEY.public_key())}
BAD = "bad authentication token"
START_SECONDS = 60
LOADED_SECONDS = 15  # until a file is in force; it is read at once
LATER_SECONDS = 2  # until the back end says anything on a websocket
# What is answered is an answer, also where it says when to come again.
RETRIES = urllib3.Retry(connect=40, read=0, status=0, backoff_factor=0.05, respect_retry_after_header=False)
ADMIN_QUESTIONS = (ADMIN_FILTERS, ADMIN_COUNTERS)
PUSH, LABELS = "/api/v1/push", "/api/v1/labels"
LOKI_PUSH, LOKI_LABELS = "/loki/api/v1/push", "/loki/api/v1/labels"


def signed(**grant: Any) -> str:
    return Signer(KEY).token(Grant(**({"instance": "showdown", "tenant": "default"} | grant)))


def forged(text: str) -> str:
    """Return a token whose claims are the JSON `text`, in which NOW and LATER are instants."""
    now = int(time.time())
    common = '"iss": "opstrace-cli", "aud": "opstrace-cluster-showdown", "sub": "tenant-default", '
    text = "{" + common + f'"iat": {now}, "exp": {now + 600}, {text}' + "}"
    json.loads(text)
    return jwt.api_jws.encode(text.encode(), KEY, "RS256", {"kid": KID})


def _routes(manager: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for host in manager["route_config"]["virtual_hosts"]:
        yield from host["routes"]


@dataclass
class BackEnd:
    """A server in place of a tenant's that answers `status` and `body`, and remembers what reached it, and for which."""

    seen: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)  # that were looked up
    credentials: list[str | None] = field(default_factory=list)
    status: int = 200
    body: bytes = b"ok"
    address: str = "127.0.0.1"
    port: int = 0  # any that is free
    seconds: float = 0  # that an answer takes

    def __post_init__(self) -> None:
        back_end, seen, credentials = self, self.seen, self.credentials

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # or each answer waits 40 ms for the acknowledgement of its headers

            def do_GET(self) -> None:
                if self.headers.get("upgrade") == "websocket":
                    return self._follow()
                read_body(self.headers, self.rfile)
                credentials.append(self.headers["authorization"])
                back_end.names.append(self.headers[UPSTREAM_HEADER])
                seen.append(f"{','.join(self.headers.get_all('x-scope-orgid', []))} {self.command} {self.path}")
                time.sleep(back_end.seconds)
                status, body = back_end.status, back_end.body  # they may be changed once the headers are sent
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _follow(self) -> None:
                self.send_response(101)
                self.send_header("upgrade", "websocket")
                self.send_header("connection", "upgrade")
                self.end_headers()
                time.sleep(LATER_SECONDS)
                self.wfile.write(b"later")
                self.close_connection = True

            do_POST = do_DELETE = do_PUT = do_GET

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer((self.address, self.port), Handler)
        self.port = int(self.server.server_address[1])
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def service(self) -> str:
        """Take the name that was looked up last, without the dot at its end that it has or has not."""
        return self.names.pop().removesuffix(".")

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Gateway:
    """A running Envoy with the gateway's configuration; its back ends are one server of the test's."""

    def __init__(self, folder: Path, back_end: BackEnd, started: list[subprocess.Popen[bytes]]) -> None:
        self.folder, self.back_end, self._started = folder, back_end, started
        self.log = folder / "log"
        self._files: dict[WatchedFile, str] = {}
        self.http = urllib3.PoolManager(retries=RETRIES)

    def put(self, watched: WatchedFile, text: str) -> None:
        """Replace a file that Envoy watches as the kubelet does: a link to a folder is moved over the old one."""
        self._files[watched] = text
        place = self.folder / watched.part
        place.mkdir(exist_ok=True)
        version = place / f"..{uuid.uuid4()}"
        version.mkdir()
        for other, content in self._files.items():
            if other.part == watched.part:
                (version / other.file).write_text(content)
        (place / "..new").symlink_to(version.name)
        os.replace(place / "..new", place / "..data")
        if not (place / watched.file).is_symlink():
            (place / watched.file).symlink_to(f"..data/{watched.file}")

    def give(self, keys: Mapping[str, str] = KEYS, revoked: Iterable[str] = (), **limits: KeyLimits) -> None:
        """Give the gateway keys, revocations and limits by the first letters of the key's name in this file."""
        named = {KID: limits.get("key", UNLIMITED), OTHER: limits.get("other", UNLIMITED)}
        self.put(TOKEN, keys_file("showdown", keys))
        self.put(ACCESS, access_file({kid: named[kid] for kid in keys}, revoked))
        if RATES not in self._files:
            self.limit(GatewayLimits())

    def limit(self, limits: GatewayLimits) -> None:
        """Give the gateway, as one of one, what it lets through of each tenant."""
        for watched, text in limits_files(limits, 1).items():
            self.put(watched, text)

    def start(
        self,
        settings: GatewaySettings = SETTINGS,
        *,
        tail: str = "",
        most_connections: int = 0,
        heap_bytes: int = 0,
        turn_seconds: int = TURN_SECONDS,
        name_server: int = 0,
        has_all: bool = True,
        **changes: Any,
    ) -> "Gateway":
        """Start Envoy; `changes` are settings of its HTTP connection manager, `tail` how long one may be followed.

        `name_server`: the port of the one that is asked for the tenants' names, which are sent to one back end without it.
        `has_all`: whether it can read all of its files, until when it answers 500 to everybody.
        """
        text = bootstrap(settings).replace(f"(1000 * {TURN_SECONDS})", f"(1000 * {turn_seconds})")
        for watched in WATCHED:
            text = text.replace(watched.folder, str(self.folder / watched.part))
        config = json.loads(text)
        del config["stats_sinks"]  # there is no system tenant
        ports = free_ports(3)
        self.admin_port = config["admin"]["address"]["socket_address"]["port_value"] = ports.pop()
        for listener, port in zip(config["static_resources"]["listeners"], ports, strict=True):
            listener["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": port}
            listener.pop("listener_filters", None)  # no load balancer stands before this one
        manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        manager |= changes
        heap, connections = (entry["typed_config"] for entry in config["overload_manager"]["resource_monitors"])
        if most_connections:
            connections["max_active_downstream_connections"] = most_connections
        if heap_bytes:
            heap["max_heap_size_bytes"] = heap_bytes
        if tail:
            limits = [route["route"].get("max_stream_duration") for route in _routes(manager)]
            (of_tail,) = filter(None, limits)
            of_tail["max_stream_duration"] = tail
        if name_server:
            config = asking(name_server, config)
        else:
            self._send_to_back_end(config, manager)
        (self.folder / "envoy.json").write_text(json.dumps(config))
        command = [str(ensure(catalog.ENVOY) / "envoy"), "-c", str(self.folder / "envoy.json"), "--disable-hot-restart"]
        command += ["--file-flush-interval-msec", "100"]
        with self.log.open("w") as log:
            self._started.append(subprocess.Popen([*command, "--concurrency", "2"], stdout=log, stderr=log))
        self.port, self.health_port = ports
        deadline = time.monotonic() + START_SECONDS
        while not self._listens():
            assert self._started[-1].poll() is None and time.monotonic() < deadline, self.log.read_text()[-2000:]
            time.sleep(0.05)
        if has_all:
            eventually(lambda: self.ask(None)[0] != 500, START_SECONDS, 0.05)
        return self

    def _listens(self) -> bool:
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.1", self.port)) == 0

    def is_ready(self) -> bool:
        """Tell whether the probe's question is answered as the kubelet wants it."""
        return self.http.request("GET", f"http://127.0.0.1:{self.health_port}/ready").status == 200

    def _send_to_back_end(self, config: dict[str, Any], manager: dict[str, Any]) -> None:
        """Put a cluster of one address in the place of those that are looked up by the tenant's name."""
        address = {"socket_address": {"address": "127.0.0.1", "port_value": self.back_end.port}}
        endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
        cluster = next(one for one in config["static_resources"]["clusters"] if one["name"] == "tenant")
        del cluster["cluster_type"], cluster["lb_policy"]
        cluster["load_assignment"] = {"cluster_name": "tenant", "endpoints": endpoints}
        config["static_resources"]["clusters"] = [cluster]
        manager["http_filters"] = [entry for entry in manager["http_filters"] if entry["name"] != "forward"]
        for route in _routes(manager):
            del route["typed_per_filter_config"]["forward"]

    def ask(
        self,
        token: str | None,
        path: str = LABELS,
        method: str = "GET",
        tenant: str = "default",
        host: str = "",
        body: bytes | Iterable[bytes] = b"",
        **more: str,
    ) -> tuple[int, str]:
        """Return status and text of an answer; `more` are headers. A body in pieces has no length unless they say one."""
        api = "loki" if path.startswith("/loki") else "cortex"
        headers = {"Host": host or f"{api}.{tenant}.showdown.example.com"}
        headers |= ({"Authorization": f"Bearer {token}"} if token else {}) | more
        # As it is given: the client library would tidy the path up.
        pool = self.http.connection_from_host("127.0.0.1", self.port)
        answer = pool.urlopen(method, path, body or None, headers, assert_same_host=False)
        return answer.status, answer.data.decode()

    def state(self) -> PodState:
        """Return what the gateway itself says of what it has, beside what lies in the files."""
        asked = (self.http.request("GET", f"http://127.0.0.1:{self.admin_port}{path}") for path in ADMIN_QUESTIONS)
        dump, counters = (answer.data.decode() for answer in asked)
        files = [self.folder / watched.part / watched.file for watched in WATCHED]
        return pod_state(dump, counters, filters_in(file.read_text() for file in files))

    def comes_to(self, state: PodState) -> None:
        """Wait until the gateway says this of itself."""
        eventually(lambda: self.state() == state, LOADED_SECONDS, 0.05)

    def eventually(self, answer: tuple[int, str], token: str, seconds: float = LOADED_SECONDS, **request: str) -> float:
        """Wait until both of Envoy's workers answer so; return how long that took."""

        def is_answered() -> bool:
            return all(self.fresh(token, **request) == answer for _ in range(8))

        return eventually(is_answered, seconds, 0.02, lambda: self.ask(token, **request))

    def fresh(self, token: str, **request: str) -> tuple[int, str]:
        """Ask over a new connection."""
        self.http.clear()  # another connection, perhaps of another worker
        return self.ask(token, **request)
