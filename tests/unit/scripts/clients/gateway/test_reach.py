"""What keeps a client from a host: its name, the connection, the certificate."""

import http.client
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3
from cryptography.hazmat.primitives.serialization import Encoding
from pytest_httpserver import HTTPServer

from components.core.errors import UserError
from localcloud.certificate_authority import Authority
from localcloud.settings import Settings
from scripts.clients.gateway.client import GatewayClient
from scripts.clients.gateway.reach import obstacle
from tests.support.certificates import served
from tests.support.ports import free_port

NAME = "cortex.default.showdown.opstrace.localhost"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.of(Settings(3, tmp_path / "cloud"))


@pytest.fixture
def ca_file(tmp_path: Path, authority: Authority) -> Path:
    file = tmp_path / "ca.pem"
    file.write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    return file


def test_a_host_with_a_trusted_certificate_is_reached(tmp_path: Path, authority: Authority, ca_file: Path) -> None:
    with served(tmp_path, authority.issue("server", names=[NAME])) as port:
        assert obstacle(f"https://{NAME}:{port}", ca_file) is None
        client = GatewayClient(ca_file, "token", 30)
        assert client.request("POST", f"https://{NAME}:{port}/path?query=1", "{}") == (200, "")


def slowly(seconds: float, parts: int) -> Iterator[bytes]:
    """Yield the parts of a body, each after some seconds."""
    for _ in range(parts):
        time.sleep(seconds)
        yield b"x"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ([b"x" * (1 << 20), b"x"], "answers with more than 1 MiB"),
        (slowly(0.5, 5), "does not answer within 1.5 s"),
        (slowly(2.5, 1), "does not answer within 1.5 s"),
    ],
)
def test_an_answer_that_is_too_long_or_too_slow_is_given_up(
    tmp_path: Path, authority: Authority, ca_file: Path, body: Iterable[bytes], reason: str
) -> None:
    with served(tmp_path, authority.issue("server", names=[NAME]), body) as port:
        url = f"https://{NAME}:{port}/path"
        with pytest.raises(UserError) as error:
            GatewayClient(ca_file, None, 1.5).get(f"{url}?query=secret", most_bytes=1 << 20)
        assert str(error.value) == f"{url} {reason}"


def test_a_closed_connection_is_tried_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closing:
        """Connections, of which the first `closed` close without an answer."""

        closed, tries = 1, 0

        def request(self, *_: object, **__: object) -> Any:
            Closing.tries += 1
            if Closing.tries <= Closing.closed:
                cause = http.client.RemoteDisconnected("Remote end closed connection without response")
                raise urllib3.exceptions.ProtocolError("Connection aborted.", cause)
            return SimpleNamespace(status=200, stream=lambda _: [b"text"])

        def close(self) -> None:
            """Hold no connection."""

    monkeypatch.setattr("scripts.clients.gateway.client.pool", lambda *_: Closing())
    client = GatewayClient(None, "token", 9)
    assert client.get("https://host/path", most_bytes=9) == (200, "text")
    Closing.closed, Closing.tries = 2, 0
    with pytest.raises(UserError) as error:
        client.get("https://host/path?query", most_bytes=9)
    assert str(error.value) == "https://host/path does not answer: Remote end closed connection without response"


def test_a_get_returns_status_and_text(tmp_path: Path, authority: Authority, ca_file: Path) -> None:
    with served(tmp_path, authority.issue("server", names=[NAME]), [b"one", b" two"]) as port:
        client = GatewayClient(ca_file, "token", 30)
        assert client.get(f"https://{NAME}:{port}/path", most_bytes=99) == (200, "one two")
        with pytest.raises(UserError, match=rf"https://{NAME}:1 does not answer: "):
            client.get(f"https://{NAME}:1", most_bytes=99)


def test_a_certificate_of_another_ca_is_told_from_one_for_another_name(
    tmp_path: Path, authority: Authority, ca_file: Path
) -> None:
    other = Authority.of(Settings(3, tmp_path / "other")).certificate.public_bytes(Encoding.PEM)
    (tmp_path / "other.pem").write_bytes(other)
    with served(tmp_path, authority.issue("server", names=[NAME])) as port:
        for ca, name, stage, remedy in (
            (None, NAME, "TLS", "name that CA with --ca-file"),
            (tmp_path / "other.pem", NAME, "TLS", "in place of"),
            (ca_file, f"other-{NAME}", "host name", "apply the tenant"),
        ):
            found = obstacle(f"https://{name}:{port}", ca)
            assert found and found.stage == stage and remedy in found.in_words()


def test_a_closed_port_is_told_from_a_name_without_an_address(ca_file: Path) -> None:
    closed = obstacle(f"https://{NAME}:{free_port()}", ca_file)
    assert closed and closed.stage == "connection" and "127.0.0.1" in closed.reason
    with HTTPServer("127.0.0.1", 0) as server:  # which speaks no TLS
        plain = obstacle(f"https://{NAME}:{server.port}", ca_file)
    assert plain and plain.stage == "connection" and "no TLS connection" in plain.reason
    unknown = obstacle("https://cortex.default.showdown.opstrace.invalid", ca_file)
    assert unknown and unknown.stage == "DNS" and "has no address" in unknown.reason
