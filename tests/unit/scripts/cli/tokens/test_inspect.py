"""`ta-inspect-token`: its output for good tokens, for forged ones, and for texts that are no tokens."""

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

from components.config.load import from_settings
from components.core.errors import TokenError, UserError
from components.core.public_keys import key_id
from scripts.cli.tokens.inspect import ta_inspect_token
from scripts.tokens.key_files import new_key
from scripts.tokens.parse import Token, read_token
from scripts.tokens.signing import Grant, Signer
from scripts.tokens.verify import refusals
from tests.support.contexts import FakeContext, invoke
from tests.support.factories import JSON, PAIR, settings

GRANT = Grant(instance="showdown", tenant="default", name="x")
GOOD = Signer(PAIR).token(GRANT)
CONFIG = from_settings(settings(), "showdown")


def call(*arguments: str, text: str | None = None, context: FakeContext | None = None) -> Result:
    return invoke(context or FakeContext(Path("nowhere")), ta_inspect_token, *arguments, typed=text)


def forged(header: dict[str, Any] | None = None, key: Any = PAIR, **claims: Any) -> Token:
    """Return a signed token that differs from a good one; a claim that is `...` is left out."""
    good = jwt.decode(GOOD, options={"verify_signature": False}) | claims
    head = {"kid": key_id(PAIR.public_key())} | (header or {})
    kept = {name: value for name, value in good.items() if value is not ...}
    text = jwt.api_jws.encode(json.dumps(kept).encode(), key, "RS256", head)
    return read_token(text)


def test_a_token_is_told_in_words_from_a_file_and_from_standard_input(tmp_path: Path) -> None:
    (tmp_path / "token.jwt").write_text(GOOD + "\n")
    output = call(str(tmp_path / "token.jwt")).stdout
    for words in ("'default'", "'showdown'", "everything of its tenant", "in 365 days", GRANT.id):
        assert words in output
    assert f"key '{key_id(PAIR.public_key())}', by its own word" in output
    assert call("-", text=GOOD).stdout == output == call(text=GOOD).stdout


def test_a_token_as_an_argument_is_refused_and_not_repeated() -> None:
    done = call(GOOD)
    assert isinstance(done.exception, TokenError) and GOOD[:40] not in str(done.exception) + done.output


def test_an_instance_accepts_its_own_token_and_says_why_it_refuses_others(context: FakeContext) -> None:
    done = call("-", "local", "showdown", text=GOOD, context=context)
    assert done.exit_code == 0 and "showdown accepts it" in done.stdout
    other = Signer(new_key()).token(Grant(instance="showdown", tenant="nosuch"))
    done = call("-", "local", "showdown", text=other, context=context)
    assert isinstance(done.exception, UserError)
    assert "not among publicKeys" in str(done.exception) and "the tenants are system, default" in str(done.exception)


@pytest.mark.parametrize(
    ("token", "expected"),
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
        (forged(x=json.loads("[" * 5 + "]" * 5)), "its payload is nested or long"),
        (forged(x=[1] * 70), "its payload is nested or long"),
        (forged({"x": {"a": {"a": {"a": {}}}}}), "its header is nested or long"),
        (forged({"x": "x" * 500}), "its header has"),
        (forged(x="x" * 2000), "but the gateway takes 2048"),
    ],
)
def test_a_reason_is_given_for_each_forgery(token: Token, expected: str) -> None:
    (reason,) = refusals(token, CONFIG, "showdown", time.time())
    assert expected in reason


def test_a_token_of_a_tenant_in_a_stack_of_its_own_is_accepted(stack: Path, context: FakeContext) -> None:
    token = Signer(PAIR).token(Grant(instance="showdown", tenant="team"))
    assert call("-", "local", "showdown", text=token, context=context).exit_code == 1
    (stack.parent / "Pulumi.showdown.team.yaml").write_text("config:\n  opstrace:tenantOf: showdown\n")
    done = call("-", "local", "showdown", text=token, context=context)
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
        message, token = str(error), None
    assert message.startswith("no token") if token is None else refusals(token, CONFIG, "showdown", time.time())


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
def test_a_token_of_one_tenant_and_instance_opens_no_other(instance: str, audience: str, own: str, other: str) -> None:
    config = from_settings(settings(tenants=[{"name": own}]), instance)
    token = read_token(Signer(PAIR).token(Grant(instance=audience, tenant=other)))
    assert (refusals(token, config, instance, time.time()) == []) == (instance == audience and own == other)
