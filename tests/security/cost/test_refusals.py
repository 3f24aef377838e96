"""The cost of refused requests, and the memory of cached tokens."""

import base64
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from components.gateway.lua_filters import FORM_BYTES_KEPT, LONGEST_TOKEN
from components.gateway.settings import HEAP_MIB, MEMORY_MIB
from components.gateway.watched_files import TOKENS_KEPT
from tests.security.cost.cgroup import MIB
from tests.security.cost.http1 import request
from tests.security.cost.plans import costs, flood
from tests.security.cost.pod import CORTEX, DOMAIN, EVIL, LOKI, Pod
from tests.security.cost.tokens import SCHEME, encoded, good_claims, unsigned
from tests.support.gateway import KEY, KID, LABELS, LOKI_LABELS

LARGE = 58_000
ASKED, ROUNDS = 50, 8  # requests of a kind in a row, and repetitions
MOST_TIMES = 2
PLAIN = "no header"
WORKERS = 2
TARGETS = [(CORTEX, LABELS), (LOKI, LOKI_LABELS), (DOMAIN, "/api/v1/rules")]
JUNK, MANY_TOKENS = 6000, 108_000
FLOOD_SECONDS, LONG_SECONDS = 60.0, 600.0  # at most
# Enough that each worker gets more tokens than its cache holds, however connections are distributed.
FILLING = int(1.2 * WORKERS * TOKENS_KEPT)
# What tokens that are refused may take: the caches of forms, twice before garbage collection, and 8 MiB by which the heap grows
# anyway. Envoy's cache of verified tokens would take 90 MiB.
JUNK_MIB = 8 + 2 * WORKERS * len(TARGETS) * FORM_BYTES_KEPT / MIB
SETTLING_SECONDS = 1.0


def authorizations() -> dict[str, str | None]:
    """Return Authorization headers that are refused, by name; the first is no header."""
    claims, rs256 = good_claims(EVIL), {"alg": "RS256", "typ": "JWT"}
    named = rs256 | {"kid": KID}
    long = "x" * (LARGE * 3 // 4)
    nested = encoded(json.dumps(named | {"x": json.loads("[" * 900 + "]" * 900)}).encode())
    basic = {
        "Basic, 58 KB": base64.b64encode(f"a:{long}".encode()),
        "Basic, 58 KB without a colon": base64.b64encode(long.encode()),
        "Basic, 10 KB": base64.b64encode(b"a:" + b"x" * 7500),
        "Basic, 3 KB": base64.b64encode(b"a:" + b"x" * 2250),
    }
    tokens = {
        "Bearer, 58 KB": "x" * LARGE,
        "Bearer, 10 KB": "x" * 10_000,
        "10 KB of claims": unsigned(named, claims | {"x": "x" * 7000}),
        "no kid": unsigned(rs256, claims),
        "empty kid": unsigned(rs256 | {"kid": ""}, claims),
        "kid null": unsigned(rs256 | {"kid": None}, claims),
        "kid in another member": unsigned(rs256 | {"x": {"kid": KID}}, claims),
        "kid in a text": unsigned(rs256 | {"x": f'"kid":"{KID}"'}, claims),
        "kid twice": unsigned(json.dumps(named)[:-1] + ', "kid": ""}', claims),
        "kid of nobody": unsigned(rs256 | {"kid": "0" * 40}, claims),
        "kid of ours": unsigned(named, claims),
        "2,100 characters": unsigned(named, claims | {"x": "x" * 1100}),
        "58 KB of claims": unsigned(named, claims | {"x": long[1000:]}),
        "58 KB of header": unsigned(named | {"x": long[1000:]}, claims),
        "58 KB of signature": f"{encoded(json.dumps(named).encode())}.e30." + "x" * (LARGE - 200),
        "nested claims": unsigned(named, claims | {"x": json.loads("[" * 400 + "]" * 400)}),
        "many claims": unsigned(named, claims | {"x": [1] * 400}),
        "nested header": f"{nested}.e30.{encoded(b'x' * 256)}",
    }
    basics = {name: f"Basic {text.decode()}" for name, text in basic.items()}
    return {PLAIN: None} | basics | {name: SCHEME + token for name, token in tokens.items()}


def test_no_refusal_takes_twice_the_cpu_time_of_a_plain_one(pod: Pod) -> None:
    pod.start()
    kinds = {name: request(CORTEX, LABELS, header) for name, header in authorizations().items()}
    kinds["a path of 11 KB"] = request(CORTEX, "/eyJ" * 2750, None)
    kinds["an escaped path of 11 KB"] = request(CORTEX, "/%2F" * 2750, None)
    kinds["a query of 11 KB"] = request(CORTEX, LABELS + "?" + "x" * 11_000, None)
    kinds["a host of 11 KB"] = request(f"cortex.{'x' * 11_000}.{DOMAIN}", LABELS, None)
    with pod.trial("refusal cost") as figures:
        (result,) = pod.attack(costs(kinds, pod.group, count=ASKED, rounds=ROUNDS))
    # The minimum of each kind: other work of the machine only adds to it.
    milliseconds = {name: 1000 * min(rounds) for name, rounds in result["costs"].items()}
    for name, cost in milliseconds.items():
        print(
            f"  {name:<30} {cost:6.3f} ms  {cost / milliseconds[PLAIN]:5.1f} times  {result['seen'][name]['answers']}"
        )
    answers = {name: {*seen["answers"]} - {"401", "400", "404", "431"} for name, seen in result["seen"].items()}
    assert not any(answers.values()), answers
    figures.assert_held()
    expensive = {
        name: cost / milliseconds[PLAIN]
        for name, cost in milliseconds.items()
        if cost > MOST_TIMES * milliseconds[PLAIN]
    }
    assert not expensive, {name: f"{times:.1f} times a plain 401" for name, times in expensive.items()}


def signing_key() -> str:
    """Return the private key of good tokens, for the attackers' process."""
    return KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def of_tokens(kind: str, **more: Any) -> dict[str, Any]:
    """Return the `requests` of a flood with different tokens, of the largest length that the gateway reads."""
    return {"kind": kind, "targets": TARGETS, "kid": KID, "tenant": EVIL, "length": len(SCHEME) + LONGEST_TOKEN} | more


@pytest.mark.parametrize(
    ("junk", "good", "most"),
    [
        (JUNK, FILLING, FLOOD_SECONDS),
        pytest.param(MANY_TOKENS, MANY_TOKENS, LONG_SECONDS, marks=pytest.mark.nightly),
    ],
)
def test_good_tokens_alone_are_kept_and_fit_beside_the_heap(pod: Pod, junk: int, good: int, most: float) -> None:
    pod.start()
    with pod.trial(f"cache filling, {junk} and {good}") as figures:
        before = pod.group.used()
        (refused,) = pod.attack(flood(of_tokens("junk"), most, clients=8, count=junk))
        time.sleep(SETTLING_SECONDS)
        grown = (pod.group.used() - before) / MIB
        # Only unused bits at the end of the signature differ, but the cache compares texts.
        requests = of_tokens("signed", key=signing_key(), copies=16)
        (seen,) = pod.attack(flood(requests, most, clients=8, count=good))
        time.sleep(SETTLING_SECONDS)
        kept = pod.group.used() / MIB
    print(f"  {grown:.0f} MiB more after {refused['answers']}, {kept:.0f} MiB in use after {seen['answers']}")
    assert (refused["answers"], seen["answers"]) == ({"401": junk}, {"200": good})
    figures.assert_held()
    assert grown < JUNK_MIB
    assert kept < MEMORY_MIB - HEAP_MIB
