"""A real name server on loopback, for a gateway that resolves its tenants' names."""

import itertools
import json
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from localcloud.files import write_whole
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from tests.support.ports import free_port

ZONE = "svc.cluster.local"
TTL_SECONDS = 5  # of CoreDNS's plugin `kubernetes` in a cluster


class NameServer:
    """CoreDNS with a zone that changes; it looks for changes twice a second.

    `launcher` is a command that starts CoreDNS's command.
    """

    def __init__(self, folder: Path, launcher: Sequence[str] = ()) -> None:
        self._zone, self._serials, corefile = folder / "zone", itertools.count(1), folder / "Corefile"
        self.port = free_port()
        self.set_records({})
        corefile.write_text(
            f".:{self.port} {{\n bind 127.0.0.1\n file {self._zone} {ZONE} {{\n  reload 500ms\n }}\n}}\n"
        )
        command = [*launcher, str(ensure(catalog.COREDNS) / "coredns"), "-conf", str(corefile)]
        with (folder / "dns.log").open("w") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def set_records(self, names: Mapping[str, str]) -> None:
        """Replace all records: resolve these names to these addresses."""
        lines = [f"{ZONE}. {TTL_SECONDS} IN SOA ns.{ZONE}. admin.{ZONE}. {next(self._serials)} 60 60 60 {TTL_SECONDS}"]
        lines += [f"{ZONE}. {TTL_SECONDS} IN NS ns.{ZONE}.", f"ns.{ZONE}. {TTL_SECONDS} IN A 127.0.0.1"]
        lines += [f"{name}. {TTL_SECONDS} IN A {address}" for name, address in names.items()]
        write_whole(self._zone, "\n".join([*lines, ""]))  # CoreDNS may be reading it

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


class LossyRelay:
    """Passes queries on to the name server at `port`, one at a time. The first `lost` of them get no answer."""

    def __init__(self, port: int, lost: int) -> None:
        self._lost, self._server = lost, ("127.0.0.1", port)
        self._clients = socket.socket(type=socket.SOCK_DGRAM)
        self._clients.bind(("127.0.0.1", 0))
        self.port: int = self._clients.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as upstream:
            while True:
                query, client = self._clients.recvfrom(512)
                if not query:  # by `close`
                    return
                if self._lost:
                    self._lost -= 1
                    continue
                upstream.sendto(query, self._server)
                self._clients.sendto(upstream.recv(4096), client)

    def close(self) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._clients.close()


def with_name_server(port: int, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration of Envoy that resolves names by the server at this port of loopback."""
    server = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    settings = {"resolvers": [server], "dns_resolver_options": {"no_default_search_domain": True}}

    def with_it(part: dict[str, Any]) -> dict[str, Any]:
        return part | (settings if str(part.get("@type")).endswith("CaresDnsResolverConfig") else {})

    return dict(json.loads(json.dumps(config), object_hook=with_it))
