"""`integrations check` against the real Envoy, Cortex and Loki: true for data, and false with the right reason."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from components.core.scopes import SCOPES
from components.core.timestamps import format_rfc3339
from components.gateway.limits import GatewayLimits, Rate, TenantRates
from localcloud.certificate_authority import Authority
from localcloud.settings import DOMAIN, Settings
from scripts.cli.integrations.check import check
from scripts.clients.back_ends import API_OF_KIND
from scripts.integrations.attempt import PUSHES, QUERIES
from scripts.integrations.integration import KINDS, Kind
from scripts.integrations.probe_bodies import logs_body, metrics_body
from scripts.tokens.parse import read_token
from scripts.tokens.signing import Grant, Signer
from tests.support.backend import TENANT, Backend
from tests.support.contexts import invoke
from tests.support.gateway import BAD, DEFAULT_VARIANT, KEYS, OTHER_KEY, SETTINGS, Variant, signed
from tests.support.name_server import NameServer
from tests.support.polling import eventually
from tests.support.recording_server import BackEnd
from tests.support.tls_gateway import GatewayContext, TlsGateway

if TYPE_CHECKING:
    import subprocess

ID = "5f2c0c9e-checked"
ACCEPTED = (200, 204)
STEPS = ["gateway", "push", "query", "data"]
Found = list[dict[str, str]]
MakeBackend = Callable[[str, dict[str, Any]], Backend]


class Checked:
    """A running gateway, and the check of the tenant `default` behind it."""

    def __init__(self, gateway: TlsGateway) -> None:
        self.gateway, self.context = gateway, GatewayContext(gateway)

    def check(self, kind: Kind, token: str, *options: str, tenant: str = TENANT) -> tuple[int, Found]:
        """Return the exit status of the command, and what it found."""
        file = self.gateway.folder / "token.jwt"
        file.write_text(token)
        fixed = ("aws", "showdown", tenant, "--id", ID, "--token-file", file, "--data", kind, "--json")
        done = invoke(self.context, check, *fixed, "--wait", "3", "--timeout", "5", *options)
        assert done.stdout, done.exception
        return done.exit_code, json.loads(done.stdout)

    def stops(self, kind: Kind, token: str, *options: str, tenant: str = TENANT) -> dict[str, str]:
        """Return the finding at which the check ends."""
        status, found = self.check(kind, token, *options, tenant=tenant)
        assert (status, found[-1]["level"]) == (1, "error"), found
        return found[-1]

    def push(self, kind: Kind, integration: str = ID) -> int:
        """Send data as a client does; return the status of the answer."""
        now, to = str(time.time_ns()), integration
        body = logs_body(to, now, "an order", job="shop") if kind == "logs" else metrics_body(to, now, metric="orders")
        client = self.context.gateway_client(self.gateway.ca_file, signed(), 10)
        return client.request("POST", self.url(kind), body)[0]

    def await_accepted(self, kind: Kind) -> None:
        """Wait until the back end takes data: on a busy machine, it may be too slow at first."""
        eventually(lambda: self.push(kind, "of-another-client") in ACCEPTED, 90)

    def url(self, kind: Kind, tenant: str = TENANT) -> str:
        host = f"{API_OF_KIND[kind]}.{tenant}.showdown.{DOMAIN}:{self.gateway.port}"
        return f"https://{host}{PUSHES[kind].path}"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[TlsGateway]:
    started: list[subprocess.Popen[bytes]] = []
    back_end = BackEnd()
    yield TlsGateway(tmp_path, back_end, started)
    back_end.close()
    for process in started:
        process.kill()
        process.wait()


def checked(gateway: TlsGateway, variant: Variant = DEFAULT_VARIANT) -> Checked:
    """Start the gateway with its keys, and wait until it has read its files."""
    gateway.set_keys()
    gateway.start(replace(SETTINGS, domain=f"showdown.{DOMAIN}"), variant, has_all=False)
    made = Checked(gateway)
    client = made.context.gateway_client(gateway.ca_file, signed(), 10)
    url = made.url("logs").replace(PUSHES["logs"].path, QUERIES["logs"].path)
    eventually(lambda: client.request("GET", url)[0] != 500, detail=lambda: gateway.log.read_text()[-2000:])
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_data_makes_it_true_and_a_back_end_that_fails_makes_it_false(
    gateway: TlsGateway, backend: MakeBackend, kind: Kind
) -> None:
    program = backend(API_OF_KIND[kind], {})
    program.start()
    gateway.back_end.port = program.port
    one = checked(gateway)
    one.await_accepted(kind)
    found = one.stops(kind, signed())
    assert found["message"].startswith(f"no {kind} of {ID} arrived in 3 s"), found
    assert one.push(kind) in ACCEPTED
    status, every = one.check(kind, signed(), "--wait", "60", "--timeout", "60")
    assert (status, [step["name"] for step in every]) == (0, STEPS), every
    program.kill()
    found = one.stops(kind, signed(), "--timeout", "60")
    assert found["name"] == "push" and found["message"].startswith(f"{one.url(kind)} answers 503: "), found
    assert found["remedy"].startswith("`./opstrace tenants list` shows")


# What makes a back end accept data that its queries do not return: a label that it drops, a query that it refuses.
HIDING: dict[Kind, tuple[dict[str, Any], str]] = {
    "metrics": ({"drop_labels": ["integration_id"]}, "after 5 s"),
    "logs": ({"max_streams_matchers_per_query": 1}, "after 5 s; the last query was answered 400: max streams matchers"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_probe_that_is_accepted_and_not_returned_is_told(
    gateway: TlsGateway, backend: MakeBackend, tmp_path: Path, kind: Kind
) -> None:
    program = backend(API_OF_KIND[kind], {})
    limits, why = HIDING[kind]
    runtime = json.loads((tmp_path / "runtime.yaml").read_text())
    runtime["overrides"][TENANT] |= limits
    (tmp_path / "runtime.yaml").write_text(json.dumps(runtime))
    program.start()
    gateway.back_end.port = program.port
    one = checked(gateway)
    one.await_accepted(kind)
    found = one.stops(kind, signed())
    assert found["name"] == "query", found
    assert found["message"].startswith(f"the probe of {kind} was accepted, but queries do not return it {why}"), found


@pytest.mark.parametrize("kind", KINDS)
def test_a_refused_token_is_told_with_the_reason(gateway: TlsGateway, kind: Kind) -> None:
    gateway.back_end.body = b'{"data": {"result": []}}'
    one = checked(gateway)
    api = PUSHES[kind].scope
    revoked, ended = signed(), signed(issued=1_600_000_000, seconds=60)
    of_others = Signer(OTHER_KEY).token(Grant(instance="showdown", tenant=TENANT))
    reading = signed(scopes=tuple(scope for scope in SCOPES if scope.endswith("read")))
    jti = str(read_token(revoked).text_of("jti"))
    gateway.set_keys(revoked=[jti])
    one.context.change(dataApi={"publicKeys": KEYS, "revokedTokens": {jti: format_rfc3339(time.time() + 9e6)}})
    cases = {
        signed(tenant="later"): (
            f"{BAD}: unexpected tenant: later",
            "its subject (sub) is 'tenant-later', but the tenant is default",
        ),
        ended: (BAD, "it ended at 2020-09-13T12:27:40Z"),
        of_others: (BAD, f"its header names the key {read_token(of_others).kid!r}, which is not among publicKeys"),
        reading: (f"{BAD}: scope does not cover {api}", f"the token lacks {api}"),
        revoked: (f"{BAD}: revoked", "it was revoked"),
    }
    eventually(lambda: one.check(kind, revoked)[1][-1]["name"] == "token", 90)
    for token, (answer, why) in cases.items():
        found = one.stops(kind, token)
        assert found["name"] == "token" and found["message"] == f"{one.url(kind)} answers 401: {answer} ({why})"
        assert token not in json.dumps(found)


@contextmanager
def flooded(one: Checked) -> Iterator[None]:
    """Use up the rate of requests until the block ends."""
    ended = threading.Event()

    def push() -> None:
        while not ended.is_set():
            one.push("logs")

    with ThreadPoolExecutor(1) as pool:
        pushes = pool.submit(push)
        yield
        ended.set()
        pushes.result(60)


def test_a_rate_limit_and_an_address_that_is_not_allowed_are_told(gateway: TlsGateway) -> None:
    gateway.back_end.body = b'{"data": {"result": []}}'
    one, found = checked(gateway), dict[str, str]()

    def is_told(message: str) -> bool:
        found.update(one.stops("metrics", signed(), "--timeout", "1", "--wait", "1"))
        return found["message"] == f"{one.url('metrics')} answers {message}"

    gateway.limit(GatewayLimits(TenantRates(Rate(1, 1))))
    with flooded(one):
        eventually(lambda: is_told("429: too many requests or bytes of this tenant"), detail=lambda: found)
    remedy = "send less, or raise the rate limit of the tenant default: docs/how-to/rate-limits.md"
    assert (found["name"], found["remedy"]) == ("push", remedy)
    gateway.limit(GatewayLimits(addresses={TENANT: ("192.0.2.0/24",)}))
    eventually(lambda: is_told("403: this tenant takes nothing from your address"), detail=lambda: found)
    assert found["remedy"] == "check `allowedCidrs` of the tenant default in the stack file"


def test_a_tenant_that_the_gateway_does_not_have_is_told(gateway: TlsGateway, tmp_path: Path) -> None:
    folder = tmp_path / "names"
    folder.mkdir()
    with closing(NameServer(folder)) as names:
        one = checked(gateway, Variant(name_server=names.port))
        found = one.stops("metrics", signed(tenant="later"), tenant="later")
    assert found == {
        "name": "path",
        "level": "error",
        "message": f"{one.url('metrics', 'later')} answers 404: no such tenant",
        "remedy": "apply the tenant later with `pulumi up`, and look at `./opstrace status`",
    }


def test_dns_tls_and_a_closed_port_are_told(gateway: TlsGateway, tmp_path: Path) -> None:
    one = checked(gateway)
    other = Settings(3, tmp_path / "other")
    Authority.of(other)
    found = one.stops("metrics", signed(), "--ca-file", f"{other.pki}/ca.pem")
    assert found["name"] == "TLS" and "is not trusted: " in found["message"]
    assert found["remedy"].startswith("name the CA that signed it with --ca-file in place of ")
    one.context.change(domain="opstrace.invalid")
    found = one.stops("metrics", signed())
    host = "cortex.default.showdown.opstrace.invalid"
    assert found["name"] == "DNS" and found["message"].startswith(f"the name {host} has no address here: ")
