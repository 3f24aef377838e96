"""Whether a host can be reached: its name, a connection, and its certificate."""

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from components.core.names import HTTPS_PORT
from scripts.clients.gateway.probe import TIMEOUT_SECONDS, address_of

Stage = Literal["DNS", "connection", "TLS", "host name"]
HOSTNAME_MISMATCH = 62  # X509_V_ERR_HOSTNAME_MISMATCH of OpenSSL


@dataclass(frozen=True)
class Obstacle:
    """What keeps a client from a host: the stage, the reason and the remedy."""

    stage: Stage
    reason: str
    remedy: str

    def in_words(self) -> str:
        """Return it as one text."""
        return f"{self.reason}; {self.remedy}"


def obstacle(url: str, ca_file: Path | None, seconds: float = TIMEOUT_SECONDS) -> Obstacle | None:
    """Return what keeps a client from the host of `url`, None for nothing. No request is sent.

    `ca_file` has certificates in PEM form. The connection and the TLS handshake may take `seconds` each.
    """
    context = ssl.create_default_context(cafile=ca_file)
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or HTTPS_PORT
    try:
        addresses = socket.getaddrinfo(address_of(host), port, type=socket.SOCK_STREAM)
    except OSError as error:
        return Obstacle("DNS", f"the name {host} has no address here: {error.strerror}", "check the domain and DNS")
    address = addresses[0][4][0]
    try:
        connection = socket.create_connection((str(address), port), seconds)
    except OSError as error:
        why = error.strerror or str(error)
        return Obstacle("connection", f"{host} ({address}) does not take connections at port {port}: {why}", _CLOSED)
    with connection:
        try:
            context.wrap_socket(connection, server_hostname=host).close()
        except ssl.SSLCertVerificationError as error:
            if error.verify_code == HOSTNAME_MISMATCH:  # of another tenant: a load balancer always has one
                return Obstacle("host name", f"the load balancer has no certificate for {host}", _MISSING)
            return Obstacle(
                "TLS", f"the certificate of {host} is not trusted: {error.verify_message}", _remedy(ca_file)
            )
        except OSError as error:  # ssl.SSLError is one
            return Obstacle("connection", f"there is no TLS connection to {host}: {error}", _CLOSED)
    return None


_CLOSED = "check dataApi.allowedCidrs, firewalls and whether the instance runs"
_MISSING = "apply the tenant with `pulumi up`, and look at `./opstrace status`"


def _remedy(ca_file: Path | None) -> str:
    if ca_file is None:
        return "if a CA of your own signed it, name that CA with --ca-file"
    return f"name the CA that signed it with --ca-file in place of {ca_file}"
