"""A real Envoy with the gateway's configuration on loopback, before a back end that records its requests."""

import json
import os
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import urllib3

from components.core.public_keys import canonical_pem, key_id
from components.core.scopes import UNLIMITED, KeyLimits
from components.gateway.envoy import ADMIN_QUERIES, bootstrap
from components.gateway.limits import GatewayLimits
from components.gateway.lua_filters import MOST_BYTES, TURN_SECONDS
from components.gateway.metrics import own
from components.gateway.settings import DRAIN_SECONDS, GatewaySettings
from components.gateway.tails.listener import TAILS, tails_file
from components.gateway.watched_files import (
    ACCESS,
    ADDRESSES,
    RATES,
    TOKEN,
    WATCHED,
    WatchedFile,
    access_file,
    keys_file,
    limits_files,
)
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from scripts.clients.gateway.state import PodState, configuration_in, pod_state
from scripts.tokens.key_files import new_key
from scripts.tokens.signing import Grant, Signer
from tests.support.name_server import with_name_server
from tests.support.polling import eventually
from tests.support.ports import free_port, free_ports
from tests.support.recording_server import BackEnd

SETTINGS = GatewaySettings(
    instance="showdown", domain="showdown.example.com", authentication=True, legacy_push_errors=False
)
KEY, OTHER_KEY = new_key(), new_key()
KID, OTHER = key_id(KEY.public_key()), key_id(OTHER_KEY.public_key())
KEYS = {KID: canonical_pem(KEY.public_key())}
BOTH = KEYS | {OTHER: canonical_pem(OTHER_KEY.public_key())}
BAD = "bad authentication token"
START_SECONDS = 60
LOADED_SECONDS = 15  # at most, until a changed file is in force
# Connections are tried again; answers are not, even those with Retry-After.
RETRIES = urllib3.Retry(connect=40, read=0, status=0, backoff_factor=0.05, respect_retry_after_header=False)
PUSH, LABELS = "/api/v1/push", "/api/v1/labels"
RULES = ("/api/v1/rules", "/api/v1/rules/space", "/api/v1/rules/space/group")
LOKI_PUSH, LOKI_LABELS = "/loki/api/v1/push", "/loki/api/v1/labels"


def signed(**grant: Any) -> str:
    return Signer(KEY).token(Grant(**({"instance": "showdown", "tenant": "default"} | grant)))


def forged(text: str) -> str:
    """Return a token whose claims include the JSON members `text`."""
    now = int(time.time())
    common = '"iss": "opstrace-cli", "aud": "opstrace-cluster-showdown", "sub": "tenant-default", '
    text = "{" + common + f'"iat": {now}, "exp": {now + 600}, {text}' + "}"
    json.loads(text)
    return jwt.api_jws.encode(text.encode(), KEY, "RS256", {"kid": KID})


def _routes(manager: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for host in manager["route_config"]["virtual_hosts"]:
        yield from host["routes"]


def _without_names(manager: dict[str, Any]) -> None:
    """Change an HTTP connection manager so that it resolves no names."""
    manager["http_filters"] = [entry for entry in manager["http_filters"] if entry["name"] != "forward"]
    for route in _routes(manager):
        route.get("typed_per_filter_config", {}).pop("forward", None)


@dataclass(frozen=True)
class Variant:
    """How a test's gateway differs from an instance's, beyond its settings; 0 and "" keep a limit."""

    name_server: int = 0  # the port of one on loopback; without it all tenants' names lead to one back end
    turn_seconds: int = TURN_SECONDS
    most_bytes: int = MOST_BYTES  # of a body
    most_connections: int = 0
    heap_bytes: int = 0
    most_tails: int = 0
    system_tenant: int = 0  # the port of a Cortex on loopback, which gets the gateway's own metrics each second

    def limit(self, config: dict[str, Any]) -> None:
        """Put the limits into a configuration of Envoy."""
        heap, connections = (entry["typed_config"] for entry in config["overload_manager"]["resource_monitors"])
        if self.most_connections:
            connections["max_active_downstream_connections"] = self.most_connections
        (tails,) = (one for one in config["static_resources"]["clusters"] if one["name"] == "tails")
        if self.most_tails:
            tails["circuit_breakers"]["thresholds"][0]["max_requests"] = self.most_tails
        if self.heap_bytes:
            heap["max_heap_size_bytes"] = self.heap_bytes

    def push_metrics(self, config: dict[str, Any]) -> None:
        """Put the address of the system tenant into a configuration of Envoy; without one it pushes no metrics."""
        if not self.system_tenant:
            del config["stats_sinks"]
            return
        config["stats_flush_interval"] = "1s"
        (system,) = (one for one in config["static_resources"]["clusters"] if one["name"] == own.CLUSTER)
        (endpoint,) = system["load_assignment"]["endpoints"][0]["lb_endpoints"]
        address = {"address": "127.0.0.1", "port_value": self.system_tenant}
        endpoint["endpoint"]["address"]["socket_address"] = address


DEFAULT_VARIANT = Variant()


class Gateway:
    """A running Envoy with the gateway's configuration; one server of the test is the back end of all tenants."""

    direct = True  # without a load balancer, which would send each client's address by the PROXY protocol

    def __init__(self, folder: Path, back_end: BackEnd, started: list[subprocess.Popen[bytes]]) -> None:
        self.folder, self.back_end, self._started = folder, back_end, started
        self.log = folder / "log"
        self.tail_port = free_port()
        self.change_tails: Callable[[str], str] = str  # what a test does to the file with the listener of tails
        self._files: dict[WatchedFile, str] = {}
        self._settings, self._variant = SETTINGS, DEFAULT_VARIANT
        self.http = urllib3.PoolManager(retries=RETRIES)

    def put(self, watched: WatchedFile, text: str) -> None:
        """Replace a watched file as the kubelet does: a link to a new folder replaces the old link by a rename."""
        self._files[watched] = text
        if watched is not TAILS and {ACCESS, ADDRESSES} <= {*self._files}:
            with suppress(ValueError, LookupError):  # a test puts a file that is none
                self._files[TAILS] = self._tails()
        self._swap(watched)
        if watched is ADDRESSES and TAILS in self._files:
            self._swap(TAILS)

    def remove(self, watched: WatchedFile) -> None:
        """Remove a watched file, as the kubelet does when the ConfigMap no longer has it."""
        del self._files[watched]
        self._swap(watched)
        (self.folder / watched.part / watched.file).unlink()

    def _swap(self, watched: WatchedFile) -> None:
        place = self.folder / watched.part
        place.mkdir(exist_ok=True)
        version = place / f"..{uuid.uuid4()}"
        version.mkdir()
        for other, content in self._files.items():
            if other.part == watched.part:
                (version / other.file).write_text(content)
        (place / "..new").symlink_to(version.name)
        os.replace(place / "..new", place / "..data")
        for file in version.iterdir():
            if not (place / file.name).is_symlink():
                (place / file.name).symlink_to(f"..data/{file.name}")

    def _tails(self) -> str:
        """Return the file with the listener of tails, for this machine and a test."""
        text = tails_file(self._files, authentication=self._settings.authentication)
        config: dict[str, Any] = json.loads(text)
        (listener,) = config["resources"]
        listener["address"]["socket_address"]["port_value"] = self.tail_port
        manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
        if self._variant.name_server:
            config = with_name_server(self._variant.name_server, config)
        else:
            _without_names(manager)
        return self.change_tails(json.dumps(config))

    def set_keys(self, keys: Mapping[str, str] = KEYS, revoked: Iterable[str] = (), **limits: KeyLimits) -> None:
        """Give the gateway keys, revocations and limits by the first letters of the key's name in this file."""
        named = {KID: limits.get("key", UNLIMITED), OTHER: limits.get("other", UNLIMITED)}
        self.put(TOKEN, keys_file("showdown", keys))
        self.put(ACCESS, access_file({kid: named.get(kid, UNLIMITED) for kid in keys}, revoked))
        if RATES not in self._files:
            self.limit(GatewayLimits())

    def limit(self, limits: GatewayLimits) -> None:
        """Give the gateway its limits, as the only pod."""
        for watched, text in limits_files(limits, 1).items():
            self.put(watched, text)

    def start(
        self,
        settings: GatewaySettings = SETTINGS,
        variant: Variant = DEFAULT_VARIANT,
        *,
        has_all: bool = True,
        **changes: Any,
    ) -> "Gateway":
        """Start Envoy, and wait until it listens and, with `has_all`, has read all of its files.

        `changes` are settings of its HTTP connection manager.
        """
        self._settings, self._variant = settings, variant
        (self.folder / "envoy.json").write_text(json.dumps(self._configuration(settings, variant, changes)))
        if ADDRESSES in self._files:  # the listener of tails depends on the settings
            self.put(ACCESS, self._files.get(ACCESS, access_file({}, ())))
        command = [str(ensure(catalog.ENVOY) / "envoy"), "-c", str(self.folder / "envoy.json"), "--disable-hot-restart"]
        command += ["--file-flush-interval-msec", "100"]
        envoy = self.launch([*command, "--concurrency", "2", "--drain-time-s", str(DRAIN_SECONDS)])
        self._started.append(envoy)

        def listens() -> bool:
            is_listening = self._listens()
            assert is_listening or envoy.poll() is None, self.log.read_text()[-2000:]
            return is_listening

        eventually(listens, START_SECONDS, 0.05, lambda: self.log.read_text()[-2000:])
        if has_all:
            eventually(self.has_all, START_SECONDS, 0.05)
        return self

    def _configuration(self, settings: GatewaySettings, variant: Variant, changes: dict[str, Any]) -> dict[str, Any]:
        """Return the gateway's configuration of Envoy, for this machine and a test; chooses the ports."""
        turn = f"turn_seconds = {TURN_SECONDS},"
        text = bootstrap(settings).replace(turn, f"turn_seconds = {variant.turn_seconds},")
        text = text.replace(f"most_bytes = {MOST_BYTES},", f"most_bytes = {variant.most_bytes},")
        for watched in WATCHED:
            text = text.replace(watched.folder, str(self.folder / watched.part))
        config: dict[str, Any] = json.loads(text)
        variant.push_metrics(config)
        self.port, self.health_port, self.metrics_port, self.admin_port = free_ports(4)
        config["admin"]["address"]["socket_address"]["port_value"] = self.admin_port
        listeners = config["static_resources"]["listeners"]
        for listener, port in zip(listeners, (self.port, self.health_port, self.metrics_port), strict=True):
            listener["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": port}
            if self.direct:
                filters = [entry for entry in listener.get("listener_filters", []) if entry["name"] != "proxy-protocol"]
                listener["listener_filters"] = filters
        for cluster in config["static_resources"]["clusters"]:
            if cluster["name"] == "tails":
                (endpoint,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
                endpoint["endpoint"]["address"]["socket_address"]["port_value"] = self.tail_port
        manager = listeners[0]["filter_chains"][0]["filters"][0]["typed_config"]
        manager |= changes
        variant.limit(config)
        if variant.name_server:
            return with_name_server(variant.name_server, config)
        self._send_to_back_end(config, manager)
        return config

    def launch(self, command: list[str]) -> subprocess.Popen[bytes]:
        """Start Envoy with a command line."""
        attributes = {own.ATTRIBUTES_VARIABLE: "service.name=gateway,service.instance.id=gateway-0"}
        with self.log.open("w") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **attributes})

    def has_all(self) -> bool:
        """Return whether Envoy has read all of its files: until then it answers 500 to every request."""
        return self.ask(None)[0] != 500

    def _listens(self) -> bool:
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.1", self.port)) == 0

    def is_ready(self) -> bool:
        """Return whether the pod's readiness probe passes."""
        return self.http.request("GET", f"http://127.0.0.1:{self.health_port}/ready").status == 200

    def _send_to_back_end(self, config: dict[str, Any], manager: dict[str, Any]) -> None:
        """Replace the cluster that resolves tenants' names by one with the back end's address."""
        address = {"socket_address": {"address": "127.0.0.1", "port_value": self.back_end.port}}
        endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
        cluster = next(one for one in config["static_resources"]["clusters"] if one["name"] == "tenant")
        del cluster["cluster_type"], cluster["lb_policy"]
        cluster["load_assignment"] = {"cluster_name": "tenant", "endpoints": endpoints}
        kept = {"tails", "backend-metrics", *([own.CLUSTER] if "stats_sinks" in config else [])}
        others = [one for one in config["static_resources"]["clusters"] if one["name"] in kept]
        config["static_resources"]["clusters"] = [cluster, *others]
        _without_names(manager)

    def ask(
        self,
        token: str | None,
        path: str = LABELS,
        method: str = "GET",
        *,
        tenant: str = "default",
        body: bytes | Iterable[bytes] = b"",
        **headers: str,
    ) -> tuple[int, str]:
        """Send a request, and return status and text of the answer.

        A body in pieces is sent in chunks unless `headers` declare its length.
        """
        api = "loki" if path.startswith("/loki") else "cortex"
        credentials = {"Authorization": f"Bearer {token}"} if token else {}
        headers = {"Host": f"{api}.{tenant}.showdown.example.com"} | credentials | headers
        # `request` of the client library would normalize the path.
        pool = self.http.connection_from_host("127.0.0.1", self.port)
        answer = pool.urlopen(method, path, body or None, headers, assert_same_host=False)
        return answer.status, answer.data.decode()

    def state(self) -> PodState:
        """Return the gateway's state from its admin interface, compared with the files in its folder."""
        answers = [self.http.request("GET", f"http://127.0.0.1:{self.admin_port}{path}") for path in ADMIN_QUERIES]
        assert {answer.status for answer in answers} == {200}
        filters, listeners, counters = (answer.data.decode() for answer in answers)
        places = {file: self.folder / file.part / file.file for file in (*WATCHED, TAILS)}
        files = {file: place.read_text() if place.exists() else "" for file, place in places.items()}
        return pod_state(filters, listeners, counters, configuration_in(files))

    def access_log(self, count: int) -> list[dict[str, Any]]:
        """Return the lines of the access log once it has `count`, by time, without the lines before Envoy had its files.

        Each of Envoy's workers writes its own lines, so a later request can have the first line.
        """
        deadline = time.monotonic() + LOADED_SECONDS
        while True:
            lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith('{"')]
            lines = [line for line in lines if line["reason"] != "filter_chain_not_found"]
            if len(lines) >= count or time.monotonic() > deadline:
                return sorted(lines, key=lambda line: line["time"])
            time.sleep(0.1)

    def await_state(self, state: PodState) -> None:
        """Wait until the gateway has this state."""
        eventually(lambda: self.state() == state, LOADED_SECONDS, 0.05)

    def eventually(self, answer: tuple[int, str], token: str, seconds: float = LOADED_SECONDS, **request: Any) -> float:
        """Wait until both of Envoy's workers give this answer; return the seconds that it took."""

        def is_answered() -> bool:
            return all(self.fresh(token, **request) == answer for _ in range(8))

        return eventually(is_answered, seconds, 0.02, lambda: self.ask(token, **request))

    def fresh(self, token: str, **request: Any) -> tuple[int, str]:
        """Send a request over a new connection."""
        self.http.clear()  # the next connection may be another worker's
        return self.ask(token, **request)
