"""The gateway of `gateway` with a certificate, as clients reach it through the load balancer, and commands that use it."""

import subprocess
from pathlib import Path
from typing import Any

from components.gateway.settings import GatewaySettings
from localcloud.certificate_authority import Authority, write_pair
from localcloud.settings import DOMAIN, Settings
from scripts.clients.gateway.client import GatewayClient
from scripts.clients.gateway.reach import Obstacle
from scripts.clients.providers import Provider
from scripts.context.context import Context
from scripts.stackfile.file import StackFile
from tests.support import factories
from tests.support.contexts import FakeContext
from tests.support.gateway import KEYS, Gateway, Variant
from tests.support.recording_server import BackEnd

TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
INSTANCE = "showdown"
TENANTS = ("default", "later")


class TlsGateway(Gateway):
    """A gateway with a certificate for the hosts of `TENANTS` below `localhost`, signed by the CA in `ca_file`."""

    def __init__(self, folder: Path, back_end: BackEnd, started: list[subprocess.Popen[bytes]]) -> None:
        super().__init__(folder, back_end, started)
        settings = Settings(3, folder / "cloud")
        names = [f"*.{tenant}.{INSTANCE}.{DOMAIN}" for tenant in TENANTS]
        write_pair(folder / "server", Authority.of(settings).issue("server", names=names))
        self.ca_file = settings.pki / "ca.pem"

    def _configuration(self, settings: GatewaySettings, variant: Variant, changes: dict[str, Any]) -> dict[str, Any]:
        config = super()._configuration(settings, variant, changes)
        files = {
            "certificate_chain": {"filename": f"{self.folder}/server.pem"},
            "private_key": {"filename": f"{self.folder}/server-key.pem"},
        }
        tls = {"@type": TLS, "common_tls_context": {"tls_certificates": [files]}}
        (chain,) = config["static_resources"]["listeners"][0]["filter_chains"]
        chain["transport_socket"] = {"name": "tls", "typed_config": tls}
        return config


class GatewayContext(FakeContext):
    """The context of commands whose instance is a running `TlsGateway`: they reach it by DNS and TLS."""

    def __init__(self, gateway: TlsGateway) -> None:
        super().__init__(gateway.folder, provider=Provider({}, ca_file=gateway.ca_file))
        self.change(
            domain=DOMAIN,
            tenants=[{"name": name} for name in TENANTS],
            dataApi={"publicKeys": KEYS},
            loadBalancer=factories.LOAD_BALANCER | {"port": gateway.port},
        )

    def change(self, **changes: Any) -> None:
        """Change settings in the stack file."""
        file = StackFile(INSTANCE, self.stacks)
        for name, value in (factories.settings(**changes) if not file.exists() else changes).items():
            file.set(name, value)
        file.write()

    def obstacle(self, url: str, ca_file: Path | None, seconds: float) -> Obstacle | None:
        return Context.obstacle(self, url, ca_file, seconds)

    def gateway_client(self, ca_file: Path | None, token: str | None, seconds: float) -> GatewayClient:
        return Context.gateway_client(self, ca_file, token, seconds)
