"""A real name server on loopback, for a gateway that resolves its tenants' names."""

import itertools
import json
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
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
    """Passes queries on to the name server at `port`, one at a time, and keeps them.

    Attributes:
        lost: How many of the next queries get no answer.
        queries: All queries, in DNS's form.
    """

    def __init__(self, port: int) -> None:
        self.lost, self.queries = 0, list[bytes]()
        self._clients, self._upstream = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
        self._clients.bind(("127.0.0.1", 0))
        self._upstream.connect(("127.0.0.1", port))
        self._upstream.settimeout(1)
        self.port: int = self._clients.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            query, client = self._clients.recvfrom(512)
            if not query:  # by `close`
                return
            self.queries.append(query)
            if self.lost:
                self.lost -= 1
                continue
            with suppress(TimeoutError, ConnectionRefusedError):  # the resolver asks again
                self._upstream.send(query)
                self._clients.sendto(self._upstream.recv(4096), client)

    def close(self) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._clients.close()
        self._upstream.close()


def with_name_server(port: int, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration of Envoy that resolves names by the server at this port of loopback."""
    server = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    settings = {"resolvers": [server]}

    def with_it(part: dict[str, Any]) -> dict[str, Any]:
        return part | (settings if str(part.get("@type")).endswith("CaresDnsResolverConfig") else {})

    return dict(json.loads(json.dumps(config), object_hook=with_it))
