"""Which tokens the gateway accepts, by the real Envoy: claims, keys, their limits, and revocations."""

import base64
import time
from typing import Any

import pytest

from components.core.scopes import KeyLimits
from components.gateway.lua_filters import SUBJECT_HEADER
from components.gateway.watched_files import TOKEN, filter_in, keys_file
from scripts.clients.gateway.state import PodState
from scripts.tokens.signing import Grant, Signer
from tests.support.gateway import (
    BAD,
    BOTH,
    KEY,
    KEYS,
    KID,
    OTHER,
    OTHER_KEY,
    PUSH,
    Gateway,
    forged,
    signed,
)
from tests.support.polling import eventually

CLAIMS = {
    '"scope": null': ": scope is null",
    '"scope" : null': ": scope is null",
    '"\\u0073c\\u006Fpe": null': ": scope is null",
    '"jti": null': "",
    '"scope": ["metrics:read"]': ": scope does not cover metrics:read",
    '"scope": {"metrics:read": true}': ": scope does not cover metrics:read",
    '"scope": true': ": scope does not cover metrics:read",
    '"scope": 1': ": scope does not cover metrics:read",
    '"scope": ""': ": scope does not cover metrics:read",
    '"scope": "metrics:read\\tmetrics:write"': ": scope does not cover metrics:read",
    '"scope": "metrics:readx xmetrics:read"': ": scope does not cover metrics:read",
    '"scope": "METRICS:READ"': ": scope does not cover metrics:read",
    '"scope": "metrics:*"': ": scope does not cover metrics:read",
    '"scope": "metrics:read,metrics:write"': ": scope does not cover metrics:read",
    '"jti": 1': "",
    '"jti": ["revoked-token"]': "",
    '"jti": {"revoked-token": 1}': "",
    '"jti": false': "",
    '"jti": "revoked-token"': ": revoked",
    '"jti": "revoked\\u002dtoken"': ": revoked",
    '"jti": "revoked-token", "scope": "nothing"': ": revoked",
}

OPEN = [
    '"scope": "metrics:read"',
    '"scope": "logs:read metrics:read x"',
    '"jti": "Revoked-token"',
    '"jti": "revoked-token "',
    '"jti": "revoked"',
    '"jti": ""',
    '"x": null',
    '"x": "scope"',
    '"x": "\\u00e9 \\ud83d\\ude00"',
]


def test_claims_of_any_other_form_are_refused_with_their_reason(gateway: Gateway) -> None:
    gateway.set_keys(revoked=["another-token", "revoked-token"])
    gateway.start()
    refused, opened = {text: forged(text) for text in CLAIMS}, {text: forged(text) for text in OPEN}
    for _ in range(3):  # the second time comes from the cache
        assert {text: gateway.ask(token) for text, token in refused.items()} == {
            text: (401, BAD + reason) for text, reason in CLAIMS.items()
        }
        assert gateway.back_end.requests == []
    for _ in range(3):
        answers = {text: gateway.ask(token) for text, token in opened.items()}
        assert answers == dict.fromkeys(OPEN, (200, "ok"))


def test_a_doubled_claim_opens_nothing_more_than_its_last_or_is_no_token(gateway: Gateway) -> None:
    gateway.set_keys(revoked=["revoked-token"])
    gateway.start()
    for text in ('"scope": "metrics:read", "scope": "logs:read"', '"jti": "x", "jti": "revoked-token"'):
        assert gateway.ask(forged(text))[0] == 401, text


def test_a_revocation_is_looked_at_after_the_signature(gateway: Gateway) -> None:
    gateway.set_keys(revoked=["revoked-token"])
    gateway.start()
    head, claims, signature = forged('"jti": "revoked-token"').split(".")
    changed = base64.urlsafe_b64encode(bytes(reversed(base64.urlsafe_b64decode(signature + "==")))).decode().rstrip("=")
    assert gateway.ask(f"{head}.{claims}.{changed}") == (401, BAD)


def test_a_limited_key_speaks_for_its_tenants_and_scopes_alone(gateway: Gateway) -> None:
    gateway.set_keys(BOTH, other=KeyLimits(tenants=("alpha", "beta"), scopes=("metrics:read", "logs:read")))
    gateway.start()
    limited = Signer(OTHER_KEY)
    for_alpha, for_default = (
        limited.token(Grant(instance="showdown", tenant="alpha")),
        limited.token(Grant(instance="showdown", tenant="default")),
    )
    assert gateway.ask(for_alpha, tenant="alpha") == (200, "ok")
    assert gateway.ask(for_default) == (401, f"{BAD}: its key may not speak for this tenant")
    assert gateway.ask(for_alpha) == (401, f"{BAD}: unexpected tenant: alpha")
    assert gateway.ask(for_alpha, PUSH, tenant="alpha") == (401, f"{BAD}: its key does not cover metrics:write")
    wide = limited.token(Grant(instance="showdown", tenant="alpha", scopes=("metrics:write",)))
    assert gateway.ask(wide, PUSH, tenant="alpha") == (401, f"{BAD}: its key does not cover metrics:write")
    assert gateway.ask(signed(), PUSH) == (200, "ok")


def test_a_key_ends_when_its_time_is_over_without_any_change(gateway: Gateway) -> None:
    gateway.set_keys(BOTH)
    gateway.start()
    gateway.set_keys(BOTH, other=KeyLimits(not_after=int(time.time()) + 10))
    eventually(lambda: gateway.state().current, 5, 0.05)
    token = Signer(OTHER_KEY).token(Grant(instance="showdown", tenant="default"))
    assert gateway.ask(token) == (200, "ok")
    gateway.eventually((401, f"{BAD}: its key is no longer accepted"), token, 20)
    assert gateway.ask(signed()) == (200, "ok")


def test_a_cached_token_expires(gateway: Gateway) -> None:
    gateway.set_keys()
    gateway.start()
    token = signed(seconds=3)
    for _ in range(20):  # both workers
        assert gateway.fresh(token) == (200, "ok")
    assert gateway.eventually((401, BAD), token, 20) > 3


def test_a_token_that_envoy_has_not_verified_opens_nothing(gateway: Gateway) -> None:
    gateway.set_keys()
    verified = keys_file("showdown", KEYS)
    _, config = filter_in(verified)
    gateway.put(TOKEN, TOKEN.content(config | {"rules": []}))
    gateway.start()
    headers: dict[str, Any] = {SUBJECT_HEADER: "tenant-default"}
    assert gateway.ask(signed()) == gateway.ask(signed(), **headers) == (401, BAD)
    gateway.put(TOKEN, verified)
    token = signed()
    gateway.eventually((200, "ok"), token)
    gateway.put(TOKEN, TOKEN.content(config | {"rules": []}))
    gateway.eventually((401, BAD), token)  # its claims are remembered
    assert gateway.ask(token, **headers) == (401, BAD)


def test_a_key_without_its_limits_yet_opens_nothing(gateway: Gateway) -> None:
    gateway.set_keys(KEYS)
    gateway.start()
    gateway.put(TOKEN, keys_file("showdown", BOTH))
    time.sleep(1)
    token = Signer(OTHER_KEY).token(Grant(instance="showdown", tenant="default"))
    assert gateway.ask(token) == (401, BAD)
    gateway.set_keys(BOTH, other=KeyLimits(tenants=("alpha",)))
    gateway.eventually((401, f"{BAD}: its key may not speak for this tenant"), token)


def test_the_gateway_reports_its_keys_and_refused_updates(gateway: Gateway) -> None:
    gateway.set_keys(BOTH, other=KeyLimits(tenants=("alpha",)))
    gateway.start()
    assert gateway.state() == PodState(sorted(BOTH), current=True, refused=False)
    gateway.put(TOKEN, keys_file("showdown", KEYS))
    gateway.eventually((401, BAD), Signer(OTHER_KEY).token(Grant(instance="showdown", tenant="alpha")), tenant="alpha")
    assert gateway.state() == PodState([KID], current=True, refused=False)

    good = (gateway.folder / TOKEN.part / TOKEN.file).read_text()
    gateway.put(TOKEN, good.replace('\\"n\\": \\"', '\\"n\\": \\"!'))
    gateway.await_state(PodState(None, current=False, refused=True))
    assert "REFUSED" in gateway.state().in_words()
    gateway.put(TOKEN, good)
    gateway.await_state(PodState([KID], current=True, refused=False))
    gateway.put(TOKEN, "{")
    gateway.await_state(PodState([KID], current=False, refused=True))


@pytest.mark.parametrize("broken", ['\\"n\\": \\"!', '\\"n\\": \\"BBBB', '\\"m\\": \\"'])
def test_in_a_partly_invalid_set_the_valid_keys_are_in_force_and_reported(gateway: Gateway, broken: str) -> None:
    gateway.set_keys(BOTH)
    gateway.start()
    first, second = sorted(BOTH)
    gateway.put(TOKEN, keys_file("showdown", BOTH).replace('\\"n\\": \\"', broken, 1))
    tokens = {
        kid: Signer(key).token(Grant(instance="showdown", tenant="default"))
        for kid, key in ((KID, KEY), (OTHER, OTHER_KEY))
    }
    gateway.eventually((401, BAD), tokens[first])
    assert gateway.ask(tokens[second]) == (200, "ok")
    state = gateway.state()
    assert state == PodState([second], current=False, refused=True) and "REFUSED" in state.in_words()
