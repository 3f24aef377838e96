"""A real name server on loopback, for a gateway that resolves its tenants' names."""

import itertools
import json
import subprocess
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


def with_name_server(port: int, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration of Envoy that resolves names by the server at this port of loopback."""
    server = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    kind = "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig"
    settings = {"@type": kind, "resolvers": [server], "dns_resolver_options": {"no_default_search_domain": True}}
    resolver = {"name": "envoy.network.dns_resolver.cares", "typed_config": settings}

    def with_it(part: dict[str, Any]) -> dict[str, Any]:
        return part | ({"typed_dns_resolver_config": resolver} if "dns_lookup_family" in part else {})

    return dict(json.loads(json.dumps(config), object_hook=with_it))
