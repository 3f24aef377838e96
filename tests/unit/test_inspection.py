"""`ta-inspect-token`: what it says of good tokens, of forged ones, and of what is none."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from components.config import from_settings
from components.errors import TokenError, UserError
from components.keys import key_id
from scripts import placing
from scripts.acceptance import refusals
from scripts.inspection import ta_inspect_token
from scripts.keyfiles import new_key
from scripts.signing import Grant, Signer
from scripts.token_reader import Token, read_token
from tests.unit.given import JSON, PAIR, settings

GRANT = Grant("showdown", "default", name="x")
GOOD = Signer(PAIR).token(GRANT)
CONFIG = from_settings(settings(), "showdown")


def call(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(ta_inspect_token, list(arguments), input=text)


def forged(header: dict[str, Any] | None = None, key: Any = PAIR, **claims: Any) -> Token:
    """Return a signed token that differs from a good one; a claim that is `...` is left out."""
    good = jwt.decode(GOOD, options={"verify_signature": False}) | claims
    head = {"kid": key_id(PAIR.public_key())} | (header or {})
    kept = {name: value for name, value in good.items() if value is not ...}
    text = jwt.api_jws.encode(json.dumps(kept).encode(), key, "RS256", head)
    return read_token(text)


def test_a_token_is_told_in_words_from_a_file_and_from_standard_input(tmp_path: Path) -> None:
    (tmp_path / "token.jwt").write_text(GOOD + "\n")
    said = call(str(tmp_path / "token.jwt")).stdout
    for words in ("'default'", "'showdown'", "everything of its tenant", "in 365 days", GRANT.id):
        assert words in said
    assert f"key '{key_id(PAIR.public_key())}', by its own word" in said
    assert call("-", text=GOOD).stdout == said == call(text=GOOD).stdout


def test_a_token_as_an_argument_is_refused_and_not_repeated() -> None:
    done = call(GOOD)
    assert isinstance(done.exception, TokenError) and GOOD[:40] not in str(done.exception) + done.output


def test_an_instance_accepts_its_own_token_and_says_why_it_refuses_others(stack: Path) -> None:
    done = call("-", "local", "showdown", text=GOOD)
    assert done.exit_code == 0 and "showdown accepts it" in done.stdout
    other = Signer(new_key()).token(Grant("showdown", "nosuch"))
    done = call("-", "local", "showdown", text=other)
    assert isinstance(done.exception, UserError)
    assert "not among publicKeys" in str(done.exception) and "the tenants are system, default" in str(done.exception)


@pytest.mark.parametrize(
    ("token", "told"),
    [
        (forged(iss="somebody"), "issuer (iss) is 'somebody'"),
        (forged(iss=...), "issuer (iss) is None"),
        (forged(aud="opstrace-cluster-other"), "(aud)"),
        (forged(aud=["a", 1]), "(aud)"),
        (forged(aud=["opstrace-cluster-showdown", 1]), "(aud)"),
        (forged(sub="tenant-DEFAULT"), "(sub)"),
        (forged(sub=["tenant-default"]), "(sub)"),
        (forged(exp=1), "it ended at 1970-01-01T00:00:01Z"),
        (forged(exp="1"), "end (exp)"),
        (forged(exp=True), "end (exp)"),
        (forged(exp=-1), "end (exp)"),
        (forged(exp=2**64 - 1), "end (exp)"),  # a double, as all numbers, and then 2**64
        (forged(exp=...), "it has no end (exp)"),
        (forged(nbf=time.time() + 24 * 3600), "not valid before"),
        (forged(nbf="x"), "start (nbf) is 'x', which is no instant"),
        (forged(iat="1"), "issued (iat) is '1', which is no instant"),
        (forged(jti=1), "(jti) is no text"),
        (forged(scope=["metrics:read"]), "covers nothing"),
        (forged(scope=None), "covers nothing"),
        (forged(scope=""), "covers nothing"),
        (forged(scope="metrics:READ"), "covers nothing"),
        (forged(scope="metrics:read\tx"), "covers nothing"),
        (forged({"kid": "0" * 40}), "not among publicKeys"),
        (forged(key=new_key()), "was not signed by the key"),
        (read_token(GOOD[:-4] + ("AAAA" if GOOD[-4:] != "AAAA" else "BBBB")), "was not signed by the key"),
    ],
)
def test_a_reason_is_given_for_each_forgery(token: Token, told: str) -> None:
    (reason,) = refusals(token, CONFIG, "showdown", time.time())
    assert told in reason


def test_a_token_of_a_tenant_in_a_stack_of_its_own_is_accepted(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "STACKS", stack.parent)
    token = Signer(PAIR).token(Grant("showdown", "team"))
    assert call("-", "local", "showdown", text=token).exit_code == 1
    (stack.parent / "Pulumi.showdown.team.yaml").write_text("config:\n  opstrace:tenantOf: showdown\n")
    done = call("-", "local", "showdown", text=token)
    assert done.exit_code == 0 and "showdown accepts it" in done.stdout


def test_without_authentication_no_token_is_refused() -> None:
    config = from_settings(settings(dataApi={"authentication": False}), "showdown")
    assert refusals(forged(exp=1), config, "showdown", time.time()) == []


@pytest.mark.parametrize(
    "claims", [{"aud": ["opstrace-cluster-showdown", "x"]}, {"jti": ...}, {"scope": "logs:read x"}]
)
def test_what_the_gateway_takes_is_accepted(claims: dict[str, Any]) -> None:
    assert refusals(forged(**claims), CONFIG, "showdown", time.time()) == []


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


PARTS = st.binary() | JSON.map(lambda value: json.dumps(value).encode()) | st.just(b'{"a": 1, "a": 2}')


@given(st.text() | st.tuples(PARTS, PARTS).map(lambda parts: f"{_part(parts[0])}.{_part(parts[1])}.{_part(b'x')}"))
def test_no_text_raises_anything_but_token_error(text: str) -> None:
    try:
        token = read_token(text)
    except TokenError as error:
        assert str(error).startswith("no token")
        return
    assert refusals(token, CONFIG, "showdown", time.time())


@given(
    st.dictionaries(st.sampled_from(["alg", "kid", "typ"]), JSON),
    st.dictionaries(st.sampled_from(["iat", "exp", "nbf", "aud", "iss", "sub", "jti", "scope"]), JSON),
)
def test_no_claim_of_any_type_is_more_than_refused_and_told(header: dict[str, Any], claims: dict[str, Any]) -> None:
    text = f"{_part(json.dumps(header).encode())}.{_part(json.dumps(claims).encode())}.{_part(b'x')}"
    assert refusals(read_token(text), CONFIG, "showdown", time.time())
    done = call("-", text=text)
    assert done.exit_code == 0 and "valid until" in done.stdout


def test_a_doubled_claim_is_no_token() -> None:
    claims = _part(b'{"scope": "logs:read", "scope": "metrics:write"}')
    text = f"{_part(b'{}')}.{claims}.{_part(b'x')}"
    with pytest.raises(TokenError, match="given twice"):
        read_token(text)


@given(st.binary())
def test_a_file_of_anything_raises_its_own_error(content: bytes) -> None:
    done = CliRunner().invoke(ta_inspect_token, ["-"], input=content)
    assert isinstance(done.exception, TokenError)


INSTANCES = st.from_regex(r"[a-z][a-z0-9-]{0,3}[a-z0-9]", fullmatch=True)
TENANTS = st.from_regex(r"[a-z0-9]{1,5}", fullmatch=True).filter(lambda name: name != "system")


@given(INSTANCES, INSTANCES, TENANTS, TENANTS)
def test_a_token_of_one_tenant_and_instance_opens_no_other(here: str, there: str, own: str, other: str) -> None:
    config = from_settings(settings(tenants=[{"name": own}]), here)
    token = read_token(Signer(PAIR).token(Grant(there, other)))
    assert (refusals(token, config, here, time.time()) == []) == (here == there and own == other)
