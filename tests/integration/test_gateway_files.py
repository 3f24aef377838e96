"""The gateway's files and pods, by the real Envoy: readiness, bad files, reloads, and large files."""

import threading
import time
import uuid

import pytest
import urllib3

from components.config.data_api import LIMITS_BYTES
from components.core.public_keys import SECRET_BYTES, flat_key_set
from components.core.scopes import UNLIMITED, KeyLimits
from components.gateway.limits import GatewayLimits, Rate, TenantRates, limits_bytes
from components.gateway.watched_files import ACCESS, TOKEN, access_file, keys_file
from scripts.clients.gateway.state import PodState
from tests.support.gateway import (
    BAD,
    BOTH,
    KEYS,
    KID,
    LOADED_SECONDS,
    PUSH,
    Gateway,
    Variant,
    forged,
    signed,
)
from tests.support.placeholder_keys import placeholder_keys
from tests.support.polling import eventually


def test_a_pod_is_ready_when_it_has_its_keys_and_not_before(gateway: Gateway) -> None:
    gateway.set_keys()
    gateway.put(TOKEN, "{")
    gateway.start(has_all=False)
    assert gateway.ask(signed())[0] == 500 and not gateway.is_ready()
    gateway.set_keys()
    gateway.eventually((200, "ok"), signed())
    assert gateway.is_ready()
    gateway.put(TOKEN, "{")  # Envoy keeps the former content
    time.sleep(1)
    assert gateway.is_ready() and gateway.ask(signed())[0] == 200


def test_a_pod_whose_memory_is_full_answers_503_and_stays_ready(gateway: Gateway) -> None:
    gateway.set_keys()
    gateway.start(variant=Variant(heap_bytes=2**20))  # less than Envoy needs to start
    eventually(lambda: gateway.ask(signed())[0] == 503, 30, 0.1)
    assert gateway.is_ready()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/config_dump",
        "/config_dump?resource=dynamic_listeners&x",
        "/clusters",
        "/stats",
        "/quitquitquit",
        "/logging?level=trace",
    ],
)
def test_the_admin_port_answers_three_questions_alone(gateway: Gateway, path: str) -> None:
    gateway.set_keys()
    gateway.start()
    answers = [
        gateway.http.request(method, f"http://127.0.0.1:{gateway.admin_port}{path}") for method in ("GET", "POST")
    ]
    assert [answer.status for answer in answers] == [403, 403]
    assert gateway.ask(signed()) == (200, "ok")


BROKEN = {
    "no JSON": "{",
    "nothing": "",
    "Lua that does not compile": access_file({KID: UNLIMITED}, []).replace("local REVOKED", "local local REVOKED"),
    "Lua that fails when it is loaded": access_file({KID: UNLIMITED}, []).replace("local REVOKED = {}", "error(1)"),
    "another filter": keys_file("showdown", KEYS).replace('"token"', '"access"'),
}


@pytest.mark.parametrize("case", BROKEN)
def test_an_invalid_file_leaves_the_former_content_in_force(gateway: Gateway, case: str) -> None:
    gateway.set_keys(revoked=["revoked-token"])
    gateway.start()
    gateway.put(ACCESS, BROKEN[case])
    time.sleep(1)
    assert gateway.ask(forged('"jti": "revoked-token"')) == (401, f"{BAD}: revoked")
    assert gateway.ask(signed()) == (200, "ok")
    gateway.set_keys(revoked=["another-token"])
    gateway.eventually((200, "ok"), forged('"jti": "revoked-token"'))


def test_files_that_are_gone_leave_their_content_in_force(gateway: Gateway) -> None:
    gateway.set_keys(revoked=["revoked-token"])
    gateway.start()
    for watched in (TOKEN, ACCESS):
        gateway.remove(watched)
    time.sleep(1)
    for _ in range(8):  # both workers
        assert gateway.fresh(signed()) == (200, "ok")
        assert gateway.fresh(forged('"jti": "revoked-token"')) == (401, f"{BAD}: revoked")


def test_status_tells_which_pod_lost_its_files(gateway: Gateway) -> None:
    """A pod loses them in an upgrade to a version whose files have other names."""
    gateway.set_keys()
    gateway.start()
    eventually(lambda: gateway.state().current, LOADED_SECONDS, 0.05)
    for watched in (TOKEN, ACCESS):
        gateway.remove(watched)
    time.sleep(1)
    state = gateway.state()
    assert not state.current and state.in_words() == f"has {KID}; it REFUSED what came last"


def test_a_bad_file_of_keys_leaves_the_old_keys(gateway: Gateway) -> None:
    gateway.set_keys()
    gateway.start()
    gateway.put(TOKEN, keys_file("showdown", KEYS).replace('\\"n\\": \\"', '\\"n\\": \\"!'))
    time.sleep(1)
    assert gateway.ask(signed()) == (200, "ok")


def test_changes_drop_no_request_and_no_connection(gateway: Gateway) -> None:
    gateway.set_keys(BOTH)
    gateway.start()
    token, stop, answers = signed(), threading.Event(), []
    opened = threading.local()

    def ask_on() -> None:
        opened.pool = urllib3.HTTPConnectionPool("127.0.0.1", gateway.port, maxsize=1, retries=False)
        headers = {"Host": "cortex.default.showdown.example.com", "Authorization": f"Bearer {token}"}
        while not stop.is_set():
            answers.append(opened.pool.request("POST", PUSH, headers=headers, body=b"x" * 2000).status)
            time.sleep(0.005)
        answers.append(200 if opened.pool.num_connections == 1 else "reconnected")

    threads = [threading.Thread(target=ask_on) for _ in range(8)]
    for thread in threads:
        thread.start()
    for number in range(10):
        gateway.set_keys(BOTH if number % 2 else KEYS, revoked=[f"token-{number}-{i}" for i in range(100)])
        time.sleep(0.3)
    stop.set()
    for thread in threads:
        thread.join()
    assert {*answers} == {200} and len(answers) > 100


def test_ten_thousand_revocations_and_125_keys_fit_and_load_in_time(gateway: Gateway) -> None:
    gateway.set_keys()
    gateway.start()
    revoked, token = [str(uuid.uuid4()) for _ in range(9_999)], signed(id="the-last-of-them")
    keys = placeholder_keys(124) | KEYS
    assert len(keys) == 125 and len(flat_key_set(keys)) <= SECRET_BYTES
    limits = {kid: KeyLimits(("alpha", "beta"), ("logs:read",), 2_000_000_000) for kid in keys if kid != KID}
    text = access_file({KID: UNLIMITED, **limits}, [*revoked, "the-last-of-them"])
    assert len(text) < 1_048_576 / 2
    longest = access_file({KID: UNLIMITED, **limits}, [str(uuid.uuid4()) + "x" * 60 for _ in range(10_000)])
    assert len(longest) < 1_048_576
    assert gateway.ask(token) == (200, "ok")
    text_of_keys = keys_file("showdown", keys)
    assert len(text_of_keys) < 1_048_576
    gateway.put(TOKEN, text_of_keys)
    gateway.put(ACCESS, text)
    gateway.eventually((401, f"{BAD}: revoked"), token)
    assert gateway.ask(signed()) == (200, "ok")
    # The listener of log tails is in another file, which is read at the same time.
    gateway.await_state(PodState(sorted(keys), current=True, refused=False))


def test_the_ranges_and_rates_of_a_thousand_tenants_load_in_time(gateway: Gateway) -> None:
    gateway.set_keys()
    gateway.start()
    names = [f"tenant{number}" for number in range(1000)]
    rates = {name: TenantRates(requests=Rate(100, 200)) for name in names}
    limits = GatewayLimits(exceptions=rates, addresses=dict.fromkeys([*names[1:], "default"], ("203.0.113.0/24",)))
    assert limits_bytes(limits) < LIMITS_BYTES
    assert gateway.ask(signed()) == (200, "ok")
    gateway.limit(limits)
    gateway.eventually((403, "this tenant takes nothing from your address"), signed())
    # The rates are in another file, which is read at the same time.
    eventually(lambda: gateway.state().current, LOADED_SECONDS, 0.05)
    assert gateway.ask(signed(tenant="tenant0"), tenant="tenant0") == (200, "ok")
