"""What clients send that the standards allow and that Prometheus does not send, by the real Envoy."""

import base64
import socket

import pytest

from tests.support.gateway import BAD, LABELS, RULES, Gateway, signed

FORM = (401, "Authorization header format invalid. Expecting 'Bearer <AUTHTOKEN>'")
HOST = "cortex.default.showdown.example.com"


@pytest.fixture
def running(gateway: Gateway) -> Gateway:
    gateway.set_keys()
    return gateway.start()


def _basic(password: str, scheme: str = "Basic") -> str:
    return f"{scheme} {base64.b64encode(f'anybody:{password}'.encode()).decode()}"


@pytest.mark.parametrize("path", [LABELS, RULES[0]])
@pytest.mark.parametrize("end", [".", ".:8443", ":8443", ""])
def test_a_host_may_end_with_a_dot(running: Gateway, path: str, end: str) -> None:
    hosts = [HOST, "showdown.example.com"] if path == RULES[0] else [HOST]
    for host in hosts:
        assert running.ask(signed(), path, Host=host + end) == (200, "ok"), host
    others = (401, f"{BAD}: unexpected tenant: default")
    assert running.ask(signed(), path, Host=f"cortex.other.showdown.example.com{end}") == others
    assert {entry.split()[0] for entry in running.back_end.requests} == {"default"}


@pytest.mark.parametrize("host", [f"{HOST}..", f"{HOST}:8443.", f"{HOST}..:8443", "showdown.example.com.."])
def test_a_host_with_another_end_names_no_tenant(running: Gateway, host: str) -> None:
    assert running.ask(signed(), RULES[0], Host=host)[0] == 404
    assert running.back_end.requests == []


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEARER", "Bearer"])
def test_bearer_may_have_any_case(running: Gateway, scheme: str) -> None:
    token = signed()
    assert running.ask(None, Authorization=f"{scheme} {token}") == (200, "ok")
    assert running.back_end.credentials[-1] is None
    assert running.ask(None, Authorization=f"{scheme} {token[:-8]}AAAAAAAA") == (401, BAD)
    for credentials in (f"{scheme}  {token}", f"{scheme}\t{token}", f"x{scheme} {token}", f"{scheme} {token} x"):
        assert running.ask(None, Authorization=credentials) == FORM, credentials


@pytest.mark.parametrize("scheme", ["basic", "BASIC", "Basic"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_basic_may_have_any_case_and_its_password_a_line_break_at_its_end(
    running: Gateway, scheme: str, end: str
) -> None:
    assert running.ask(None, Authorization=_basic(signed() + end, scheme)) == (200, "ok")
    assert running.back_end.credentials[-1] is None


@pytest.mark.parametrize("end", ["\n\n", " ", "\nX-Scope-OrgID: system", "\n\r", "\0"])
def test_a_password_with_another_end_is_refused(running: Gateway, end: str) -> None:
    assert running.ask(None, Authorization=_basic(signed() + end)) == FORM


def _raw(gateway: Gateway, lines: list[str], body: str = "") -> bytes:
    """Send a request as it is, and return everything until the connection ends."""
    data = b""
    with socket.create_connection(("127.0.0.1", gateway.port), 20) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        while part := connection.recv(65536):
            data += part
    return data


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.2", "HTTP/9.9"])
def test_another_version_of_http_is_refused_with_the_version_to_use(running: Gateway, version: str) -> None:
    for credentials in ([f"Authorization: Bearer {signed()}"], []):
        answer = _raw(running, [f"GET {LABELS} {version}", f"Host: {HOST}", *credentials])
        assert answer.split(b" ")[1] == b"426" and answer.endswith(b"\r\n\r\nuse HTTP/1.1: other versions are refused")
    assert running.back_end.requests == []


NAMES = ["team%2Fa", "team%2fa", "a%2F%2Fb/group%2Fc", "%2Fa", "a%5Cb", "a%2F.b", "a%2F...", "a%2Fb%20c", "50%25"]


@pytest.mark.parametrize("host", ["cortex.default", "loki.default", ""])
def test_names_of_rules_may_have_slashes_and_arrive_as_each_back_end_reads_them(running: Gateway, host: str) -> None:
    """Cortex splits the path before it decodes it, Loki behind it, and both decode names once more."""
    domain, is_loki = f"{host}.showdown.example.com".strip("."), host.startswith("loki")
    start = "/loki/api/v1/rules" if is_loki else "/api/v1/rules"
    token = signed(scopes=("logs:write", "metrics:write"))
    for name in NAMES:
        assert running.ask(token, f"{start}/{name}?a=%2F", "POST", Host=domain) == (200, "ok"), name
        meant = name.replace("%2f", "%2F").replace("%2F", "%252F" if is_loki else "%2F")
        assert running.back_end.requests.pop() == f"default POST {start}/{meant}?a=%2F"
        refused = f"{BAD}: scope does not cover {'logs' if is_loki else 'metrics'}:read"
        assert running.ask(token, f"{start}/{name}", Host=domain) == (401, refused)


SLASHES = [
    *(f"/api/v1/{path}" for path in ("label/a%2Fb/values", "alerts%2f", "rules%2Fteam", "push%5C", "%2Fpush", "a%5cb")),
    *(
        "/api/v1%2Fpush",
        "/config%2F",
        "/alertmanager/api/v2/silence/a%2Fb",
        "/alertmanager/lib/a%5Cb",
        "/%2F",
        "/a%2fb/c",
    ),
    *(
        f"/loki/api/v1/{path}"
        for path in ("label/a%2Fb/values", "labels%5C", "push%2F", "rules%2Fa", "delete%2Fa", "%5C")
    ),
    *(f"/{api}/rules/{name}" for api in ("api/v1", "loki/api/v1") for name in ("a%2Fb/c/d", "a%2F/b/c%2F/d", "%2F/")),
]
DOTS = ["..%2Fa", "a%2F..", "a%2F..%2Fb", "a/..%2Fb", ".%2fa", "a%2F%2e%2e%2Fb", "a%5C..%5Cb", "%2e%2e%5cb", "a%2F./b"]


def test_an_escaped_slash_elsewhere_is_refused_and_so_are_names_that_leave_their_folder(running: Gateway) -> None:
    dots = [f"/{api}/rules/{name}" for api in ("api/v1", "loki/api/v1") for name in DOTS]
    for path in (*SLASHES, *dots):
        for token in (signed(), signed(scopes=("logs:read",))):
            assert running.ask(token, path, "POST") == (400, ""), path
        assert running.ask(None, path)[0] == 401
        at_instance = running.ask(signed(), path, "POST", Host="showdown.example.com")
        assert at_instance == (400, ""), path
    assert running.back_end.requests == []


@pytest.mark.parametrize("path", ["/api/v1/label/a%2fb/values", "/api/v1%5cpush", "/api/v1/rules/a%2f%2e%2e%2fb"])
def test_the_digits_of_an_escaped_slash_may_be_small_letters(running: Gateway, path: str) -> None:
    head = [f"Host: {HOST}", f"Authorization: Bearer {signed()}", "Connection: close"]
    assert _raw(running, [f"GET {path} HTTP/1.1", *head]).split(b" ")[1] == b"400"
    assert running.back_end.requests == []
    assert _raw(running, ["GET /api/v1/rules/a%2fb HTTP/1.1", *head]).split(b" ")[1] == b"200"
    assert running.back_end.requests == ["default GET /api/v1/rules/a%2fb"]
