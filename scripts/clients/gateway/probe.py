"""One request to the gateway, to see whether it answers."""

from pathlib import Path
from urllib.parse import urlsplit

import urllib3

TIMEOUT_SECONDS = 5.0


def address_of(host: str) -> str:
    """Return what to connect to for a host name: the name, or this machine's loopback address for names under `localhost`.

    RFC 6761 has it so. curl and browsers resolve these names, but the system's resolver may not.
    """
    return "127.0.0.1" if host.endswith(".localhost") else host


def pool(url: str, ca_file: Path | None, timeout: float = TIMEOUT_SECONDS) -> urllib3.HTTPSConnectionPool:
    """Return connections to the host of `url`; an answer may take `timeout` seconds."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return urllib3.HTTPSConnectionPool(
        address_of(host),
        parts.port or 443,
        ca_certs=str(ca_file) if ca_file else None,
        server_hostname=host,
        assert_hostname=host,
        retries=False,
        timeout=timeout,
    )


def status_of(url: str, ca_file: Path | None, token: str | None = None) -> int | None:
    """Return the HTTP status of a GET of `url`, None if there is no answer."""
    parts = urlsplit(url)
    headers = {"Host": parts.netloc} | ({"Authorization": f"Bearer {token}"} if token else {})
    connections = pool(url, ca_file)
    try:
        return int(connections.request("GET", parts.path or "/", headers=headers).status)
    except (urllib3.exceptions.HTTPError, OSError):
        return None
    finally:
        connections.close()
