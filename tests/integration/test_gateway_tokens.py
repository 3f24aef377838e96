"""The gateway and `ta-inspect-token` agree on tokens with any claims, and no token opens another tenant.

Each token is signed by a trusted key: hypothesis draws what a holder of the key could write.
"""

import json
import re
import time
from typing import Any

import jwt
from hypothesis import given, settings
from hypothesis import strategies as st

from components.config.load import from_settings
from components.core.errors import TokenError
from scripts.tokens.parse import read_token
from scripts.tokens.verify import refusals
from tests.support import factories
from tests.support.factories import JSON
from tests.support.gateway import KEY, KEYS, KID, LABELS, LOKI_LABELS, LOKI_PUSH, PUSH, Gateway

TENANTS = ("default", "other", "system")
CONFIG = from_settings(
    factories.settings(tenants=[{"name": "default"}, {"name": "other"}], dataApi={"publicKeys": dict(KEYS)}),
    "showdown",
)
ASKED = (("GET", LABELS), ("POST", PUSH), ("GET", LOKI_LABELS), ("POST", LOKI_PUSH))  # one request of each scope
AUDIENCE, SUBJECT = "opstrace-cluster-showdown", "tenant-default"


def _like(text: str) -> st.SearchStrategy[str]:
    """Draw texts that equal `text` or almost do."""
    near = [text + " ", " " + text, text + "\n", text + "\0", text.upper(), text.title(), text[:-1], text + "x", ""]
    return st.sampled_from([text, *near, *(f"{text}{other}" for other in (",other", "-other", ".other", "é"))])


# Far from now, since the gateway reads its clock later; some are beyond the range of dates.
OFFSETS = st.sampled_from([-(10**4), -60, 60, 10**4, 10**9, 10**14, -(10**10)])
INSTANTS = OFFSETS.map(lambda offset: int(time.time()) + offset)
LARGE = st.sampled_from([1e15, 2.0**53, 2.0**63, 1.8e19, 2.0**64, 1e20, 2**64 - 1, 2**64, 10**30, -1, -0.5, 0, 0.5])
TIMES = (
    LARGE | INSTANTS | INSTANTS.map(float) | INSTANTS.map(str) | JSON | st.floats(allow_nan=False, allow_infinity=False)
)
CLAIMS: dict[str, st.SearchStrategy[Any]] = {
    "iss": _like("opstrace-cli") | JSON,
    "aud": _like(AUDIENCE) | st.lists(_like(AUDIENCE) | JSON, max_size=3) | JSON,
    "sub": _like(SUBJECT) | st.sampled_from(["tenant-other", "tenant-system", "tenant-"]) | JSON,
    "exp": TIMES,
    "nbf": TIMES,
    "iat": TIMES,
    "jti": JSON,
    "scope": st.lists(st.sampled_from(["metrics:read", "metrics:write", "logs:read", "logs:write", "all", ""])).map(
        " ".join
    )
    | JSON,
    "other": JSON,
}
HEADERS: dict[str, st.SearchStrategy[Any]] = {"kid": _like(KID) | JSON, "typ": JSON, "jku": JSON, "cty": JSON}


def _some(of: dict[str, st.SearchStrategy[Any]], most: int) -> st.SearchStrategy[dict[str, Any]]:
    """Draw a few entries: a token with all entries changed would never be accepted."""
    names = st.sets(st.sampled_from(sorted(of)), max_size=most)
    return names.flatmap(lambda chosen: st.fixed_dictionaries({name: of[name] for name in sorted(chosen)}))


LEFT_OUT = st.sets(st.sampled_from(["iss", "aud", "sub", "exp", "iat", "jti"]), max_size=1)


def _token(claims: dict[str, Any], left_out: set[str], header: dict[str, Any], ascii_alone: bool) -> str:
    now = int(time.time())
    good = {"iss": "opstrace-cli", "aud": AUDIENCE, "sub": SUBJECT, "iat": now, "exp": now + 600, "jti": "x"}
    payload = {name: value for name, value in (good | claims).items() if name not in left_out}
    text = json.dumps(payload, ensure_ascii=ascii_alone).encode()
    head = {"alg": "RS256", "kid": KID} | header
    signed = jwt.utils.base64url_encode(json.dumps(head).encode()) + b"." + jwt.utils.base64url_encode(text)
    signature = jwt.get_algorithm_by_name("RS256").sign(signed, KEY)
    return (signed + b"." + jwt.utils.base64url_encode(signature)).decode()


def _opened(gateway: Gateway, token: str) -> set[str]:
    """Return the tenants with an API that the token opens."""
    return {
        tenant
        for tenant in TENANTS
        if any(gateway.ask(token, path, method, tenant=tenant)[0] == 200 for method, path in ASKED)
    }


def test_the_gateway_and_inspect_agree_on_any_token_and_no_other_tenant_opens(gateway: Gateway) -> None:
    gateway.set_keys()
    gateway.start()
    counts = {True: 0, False: 0}

    @settings(max_examples=300, deadline=None)
    @given(_some(CLAIMS, 2), LEFT_OUT, _some(HEADERS, 1), st.booleans())
    def holds(claims: dict[str, Any], left_out: set[str], header: dict[str, Any], ascii_alone: bool) -> None:
        text = _token(claims, left_out, header, ascii_alone)
        opened = _opened(gateway, text)
        try:
            token = read_token(text)
        except TokenError:
            assert opened == set()
            return
        why = refusals(token, CONFIG, "showdown", time.time())
        named = re.fullmatch("tenant-([a-z0-9]+)", str(token.claims.get("sub")))
        assert opened == ({named[1]} if named and not why else set()), (token.header, token.claims, why)
        counts[bool(opened)] += 1

    holds()
    assert min(counts.values()) > 20, counts
