"""A real name server on loopback, for a gateway that looks its tenants' names up."""

import itertools
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from tests.ports import free_port

ZONE = "svc.cluster.local"
TTL_SECONDS = 5  # as in a cluster: CoreDNS, plugin `kubernetes`


class Names:
    """CoreDNS with a zone that can be changed; it looks twice a second."""

    def __init__(self, folder: Path) -> None:
        self._zone, self._serials, corefile = folder / "zone", itertools.count(1), folder / "Corefile"
        self.port = free_port()
        self.know({})
        corefile.write_text(
            f".:{self.port} {{\n bind 127.0.0.1\n file {self._zone} {ZONE} {{\n  reload 500ms\n }}\n}}\n"
        )
        command = [str(ensure(catalog.COREDNS) / "coredns"), "-conf", str(corefile)]
        with (folder / "dns.log").open("w") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def know(self, names: Mapping[str, str]) -> None:
        """Answer for these names with these addresses, and for no others."""
        lines = [f"{ZONE}. {TTL_SECONDS} IN SOA ns.{ZONE}. admin.{ZONE}. {next(self._serials)} 60 60 60 {TTL_SECONDS}"]
        lines += [f"{ZONE}. {TTL_SECONDS} IN NS ns.{ZONE}.", f"ns.{ZONE}. {TTL_SECONDS} IN A 127.0.0.1"]
        lines += [f"{name}. {TTL_SECONDS} IN A {address}" for name, address in names.items()]
        partial = self._zone.with_suffix(".new")
        partial.write_text("\n".join([*lines, ""]))
        os.replace(partial, self._zone)  # it may be read just now

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def asking(port: int, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration of Envoy's in which the name server at a port of loopback is asked."""
    server = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    kind = "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig"
    settings = {"@type": kind, "resolvers": [server], "dns_resolver_options": {"no_default_search_domain": True}}
    resolver = {"name": "envoy.network.dns_resolver.cares", "typed_config": settings}

    def with_it(part: dict[str, Any]) -> dict[str, Any]:
        return part | ({"typed_dns_resolver_config": resolver} if "dns_lookup_family" in part else {})

    return dict(json.loads(json.dumps(config), object_hook=with_it))
