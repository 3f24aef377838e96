"""`ta-revoke-token`: the entries that it writes and removes, and the ends that it refuses to guess."""

import time
import uuid
from pathlib import Path
from typing import Any

import jwt
import pytest
from click.testing import Result
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from components.config.load import from_settings
from components.core.errors import ConfigError, UserError
from components.core.public_keys import canonical_pem, key_id, public_key
from components.core.timestamps import format_rfc3339, instant
from components.core.units import TOKEN_YEAR
from scripts.cli.tokens.revoke import ta_revoke_token
from scripts.stackfile import file as stackfile
from scripts.tokens.issued import issued, path
from scripts.tokens.key_files import new_key
from scripts.tokens.parse import read_token
from scripts.tokens.pruning import prune
from scripts.tokens.signing import Grant, Signer
from scripts.tokens.verify import refusals
from tests.support.contexts import FakeContext, invoke
from tests.support.factories import JSON, PAIR, settings

SIGNER = Signer(PAIR)
ID = "11111111-2222-3333-4444-555555555555"


def call(stack: Path, *arguments: object, text: str | None = None) -> Result:
    return invoke(FakeContext(stack.parent), ta_revoke_token, "local", "showdown", *arguments, "--no-apply", typed=text)


def revoked(stack: Path) -> dict[str, int]:
    return stackfile.StackFile("showdown", stack.parent).config().data_api.revoked_tokens


def test_a_token_is_revoked_by_its_file_with_its_own_end(stack: Path, tmp_path: Path) -> None:
    grant = Grant(instance="showdown", tenant="default")
    (tmp_path / "token.jwt").write_text(SIGNER.token(grant))
    assert call(stack, tmp_path / "token.jwt").exit_code == 0
    assert revoked(stack) == {grant.id: grant.expires}
    assert f'"{grant.id}": "{format_rfc3339(grant.expires)}"' in stack.read_text()
    config = from_settings(stackfile.StackFile("showdown", stack.parent).settings(), "showdown")
    assert refusals(read_token(SIGNER.token(grant)), config, "showdown", time.time()) == ["it was revoked"]
    before = stack.read_text()
    assert call(stack, "-", text=SIGNER.token(grant)).exit_code == 0 and stack.read_text() == before


def test_an_id_has_its_end_from_the_ledger_or_by_hand(stack: Path) -> None:
    first, second = Grant(instance="showdown", tenant="default"), Grant(instance="other", tenant="default")
    issued(SIGNER, [first, second])
    assert call(stack, first.id).exit_code == 0
    for unknown in (second.id, ID):
        done = call(stack, unknown)
        assert isinstance(done.exception, UserError) and "--expires" in str(done.exception)
    assert call(stack, ID, "--expires", "2099-01-01T00:00:00Z").exit_code == 0
    assert revoked(stack) == {first.id: first.expires, ID: instant("2099-01-01T00:00:00Z")}


def test_entries_of_tokens_that_have_ended_go_when_the_list_is_edited(stack: Path) -> None:
    file = stackfile.StackFile("showdown", stack.parent)
    just_now = format_rfc3339(time.time() - 10)
    file.set_revoked_tokens({"ended-long-ago": "2020-01-01T00:00:00Z", "ended-just-now": just_now})
    file.write()
    done = call(stack, ID, "--expires", "2099-01-01T00:00:00Z")
    assert {*revoked(stack)} == {ID, "ended-just-now"} and "out of the list: 1" in done.stderr


def test_a_token_that_has_ended_needs_no_entry(stack: Path) -> None:
    done = call(stack, "-", text=SIGNER.token(Grant(instance="showdown", tenant="default", issued=0)))
    assert done.exit_code == 0 and "nothing to revoke" in done.stderr and revoked(stack) == {}


def forged(grant: Grant, expires: float) -> str:
    """Return a token of the grant with another end. It names the trusted key, but another key has signed it."""
    claims = jwt.decode(SIGNER.token(grant), options={"verify_signature": False}) | {"exp": int(expires)}
    return jwt.encode(claims, new_key(), algorithm="RS256", headers={"kid": SIGNER.kid})


@pytest.mark.parametrize("seconds", [-86_400, 5, 10**11])
def test_an_end_that_no_trusted_key_has_signed_is_not_believed(stack: Path, tmp_path: Path, seconds: int) -> None:
    """With an end in the past, no entry would be written. With an end soon, the entry would go before the token ends."""
    grant, before = Grant(instance="showdown", tenant="default"), stack.read_text()
    file = tmp_path / "lost.jwt"
    file.write_text(forged(grant, time.time() + seconds))
    refused = call(stack, file)
    assert isinstance(refused.exception, UserError) and stack.read_text() == before
    for part in (str(file), f"it was not signed by the key {SIGNER.kid}", "--expires"):
        assert part in str(refused.exception)
    assert call(stack, file, "--expires", "2098-01-01T00:00:00Z").exit_code == 0
    assert revoked(stack) == {grant.id: instant("2098-01-01T00:00:00Z")}

    stack.write_text(before)
    issued(SIGNER, [grant])
    done = call(stack, file)
    assert done.exit_code == 0 and revoked(stack) == {grant.id: grant.expires}
    assert f"the end of {grant.id} is taken from the ledger of issued tokens" in done.stderr


@pytest.mark.parametrize("header", [{"kid": SIGNER.kid, "alg": "HS256"}, {"kid": "0" * 40}, {}])
def test_a_token_of_no_trusted_key_does_not_tell_its_end(stack: Path, header: dict[str, str]) -> None:
    claims = jwt.decode(SIGNER.token(Grant(instance="showdown", tenant="default")), options={"verify_signature": False})
    token = jwt.encode(
        claims, "a secret of 32 bytes or more, shared" if "alg" in header else PAIR, header.get("alg", "RS256"), header
    )
    assert "--expires" in str(call(stack, "-", text=token).exception) and revoked(stack) == {}


@pytest.mark.parametrize("is_issued", [True, False])
def test_an_argument_with_the_form_of_an_own_id_is_always_an_id(
    stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_issued: bool
) -> None:
    """Otherwise, everyone who can write into the folder could replace the named token, or its end, by another one."""
    lost, other, before = (
        Grant(instance="showdown", tenant="default"),
        Grant(instance="showdown", tenant="default"),
        stack.read_text(),
    )
    if is_issued:
        issued(SIGNER, [lost])
    monkeypatch.chdir(tmp_path)
    file = tmp_path / lost.id
    for planted in (other, Grant(instance="showdown", tenant="default", seconds=5, id=lost.id)):
        stack.write_text(before)
        file.write_text(SIGNER.token(planted))
        done = call(stack, lost.id)
        if is_issued:
            assert done.exit_code == 0 and revoked(stack) == {lost.id: lost.expires}
            assert f"./{lost.id} is the file of that name" in done.stderr
        else:
            assert f"./{lost.id} for the file" in str(done.exception) and revoked(stack) == {}
            assert call(stack, lost.id, "--expires", "2099-01-01T00:00:00Z").exit_code == 0
            assert revoked(stack) == {lost.id: instant("2099-01-01T00:00:00Z")}
    stack.write_text(before)
    file.write_text(SIGNER.token(other))
    assert call(stack, f"./{lost.id}").exit_code == 0 and revoked(stack) == {other.id: other.expires}


LIMITS = [{"tenants": ["default"]}, {"scopes": ["logs:read"]}, {"notAfter": "2020-01-01T00:00:00Z"}]


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("life", [-7200, 5])
def test_a_limited_or_ended_key_does_not_decide_when_an_entry_goes(
    stack: Path, limits: dict[str, Any], life: int
) -> None:
    file = stackfile.StackFile("showdown", stack.parent)
    pair = new_key()
    public = pair.public_key()
    file.public_keys()[key_id(public)] = stackfile.literal({"pem": canonical_pem(public) + "\n"} | limits)
    file.write()
    before = stack.read_text()
    lost = Grant(instance="showdown", tenant="default")
    second = Signer(pair).token(Grant(instance="showdown", tenant="default", seconds=life, id=lost.id))
    refused = call(stack, "-", text=second)
    assert isinstance(refused.exception, UserError) and "--expires" in str(refused.exception)
    assert key_id(public) in str(refused.exception) and stack.read_text() == before
    assert call(stack, "-", "--expires", "2099-01-01T00:00:00Z", text=second).exit_code == 0
    assert revoked(stack) == {lost.id: instant("2099-01-01T00:00:00Z")}

    stack.write_text(before)
    issued(SIGNER, [lost])
    assert call(stack, "-", text=second).exit_code == 0 and revoked(stack) == {lost.id: lost.expires}


def test_the_latest_of_all_ends_that_are_known_counts(stack: Path) -> None:
    first = Grant(instance="showdown", tenant="default")
    issued(SIGNER, [first])
    late = "2098-01-01T00:00:00Z"
    for arguments, text in (((first.id,), None), (("-",), SIGNER.token(first))):
        before = stack.read_text()
        assert call(stack, *arguments, "--expires", "2020-01-01T00:00:00Z", text=text).exit_code == 0
        assert revoked(stack) == {first.id: first.expires}
        assert call(stack, *arguments, "--expires", late, text=text).exit_code == 0
        assert revoked(stack) == {first.id: instant(late)}
        stack.write_text(before)


def test_an_earlier_end_of_a_second_token_with_the_id_shortens_no_entry(stack: Path) -> None:
    first = Grant(instance="showdown", tenant="default")
    second = Grant(instance="showdown", tenant="default", seconds=5, id=first.id)
    issued(SIGNER, [first])
    assert call(stack, "-", text=SIGNER.token(second)).exit_code == 0 and revoked(stack) == {first.id: first.expires}
    path().unlink()  # as on another machine
    done = call(stack, "-", text=SIGNER.token(second))
    assert (
        revoked(stack) == {first.id: first.expires} and f"can go after {format_rfc3339(first.expires)}" in done.stderr
    )
    third = Grant(instance="showdown", tenant="default", seconds=2 * TOKEN_YEAR, id=first.id)
    assert call(stack, "-", text=SIGNER.token(third)).exit_code == 0 and revoked(stack) == {first.id: third.expires}


def test_an_end_beyond_all_that_can_be_written_is_the_last_instant(stack: Path) -> None:
    grant = Grant(instance="showdown", tenant="default", seconds=10**12)
    assert call(stack, "-", text=SIGNER.token(grant)).exit_code == 0
    assert revoked(stack) == {grant.id: instant("9999-12-31T23:59:59Z")}


def test_what_cannot_be_revoked_is_told_and_changes_nothing(stack: Path, tmp_path: Path) -> None:
    before = stack.read_text()
    good = SIGNER.token(Grant(instance="showdown", tenant="default"))
    assert "is for 'opstrace-cluster-other'" in str(
        call(stack, "-", text=SIGNER.token(Grant(instance="other", tenant="a"))).exception
    )
    assert SIGNER.kid in str(
        call(stack, "-", text=SIGNER.token(Grant(instance="showdown", tenant="a", id="short"))).exception
    )
    message = str(
        call(stack, "-", text=forged(Grant(instance="showdown", tenant="a", id="short"), time.time() + 60)).exception
    )
    # The token names the key, which did not sign it.
    assert "was not signed by" in message and "ta-pubkeys-remove" not in message
    assert "a token itself" in str((done := call(stack, good)).exception) and good[:40] not in str(done.exception)
    assert isinstance(call(stack, "nosuch.jwt.file/x").exception, UserError)
    assert stack.read_text() == before


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ({"short": "2099-01-01T00:00:00Z"}, "revokedTokens.short"),
        ({"an id with blanks": "2099-01-01T00:00:00Z"}, "an id with blanks"),
        ({'x"):os.exit()--': "2099-01-01T00:00:00Z"}, "revokedTokens"),
        ({ID: "tomorrow"}, "'tomorrow' is no RFC 3339 timestamp"),
        ({ID: "2099-01-01"}, "timestamp with a time zone"),
        ({ID: 4_070_908_800}, "'4070908800' is no RFC 3339 timestamp"),
        ({ID: None}, "is no RFC 3339 timestamp"),
        ([ID], "must be a mapping"),
        ("list.txt", "cannot be read: this configuration has no folder"),
    ],
)
def test_an_entry_of_another_form_is_refused_with_its_name(entries: Any, problem: str) -> None:
    config = settings()
    config["dataApi"]["revokedTokens"] = entries
    with pytest.raises(ConfigError) as caught:
        from_settings(config, "showdown")
    assert problem in str(caught.value)


def test_a_date_that_a_yaml_reader_made_of_the_text_is_taken(stack: Path) -> None:
    text = stack.read_text().replace(
        "  opstrace:cluster:", f"    revokedTokens:\n      {ID}: 2099-01-01T01:00:00+01:00\n  opstrace:cluster:"
    )
    stack.write_text(text)
    assert revoked(stack) == {ID: instant("2099-01-01T00:00:00Z")}


@given(st.dictionaries(st.text(), JSON | st.datetimes()))
def test_no_list_raises_anything_but_config_error(entries: Any) -> None:
    config = settings()
    config["dataApi"]["revokedTokens"] = entries
    try:
        from_settings(config, "showdown")
    except ConfigError:
        assert entries
    prune({name: str(end) for name, end in entries.items()}, time.time())


def test_ten_thousand_revocations_fit_what_the_engine_hands_over(stack: Path) -> None:
    file = stackfile.StackFile("showdown", stack.parent)
    ids = [str(uuid.uuid4()) for _ in range(10_000)]
    file.set_revoked_tokens(dict.fromkeys(ids, "2099-01-01T00:00:00Z"))
    file.write()
    assert call(stack, ID, "--expires", "2099-01-01T00:00:00Z").exit_code == 0
    assert {*revoked(stack)} == {*ids, ID} and len(stack.read_text()) < 10_000
    again = stackfile.StackFile("showdown", stack.parent)
    again.set_revoked_tokens({ID: "2099-01-01T00:00:00Z"})
    again.write()
    assert revoked(stack) == {ID: instant("2099-01-01T00:00:00Z")}
    stackfile.StackFile("showdown", stack.parent).remove()
    assert not list(stack.parent.glob("*showdown*"))


def _public_pem(number: int) -> str:
    """Return a key of 2,048 bits whose private key nobody has; a new key pair would take longer."""
    return canonical_pem(rsa.RSAPublicNumbers(65537, (1 << 2047) + 2 * number + 1).public_key())


def test_1000_tenants_125_keys_and_10000_revocations_fit_together(stack: Path) -> None:
    file = stackfile.StackFile("showdown", stack.parent)
    file.set("tenants", [{"name": f"tenant{number:04}"} for number in range(1000)])
    for pem in map(_public_pem, range(124)):
        file.public_keys()[key_id(public_key(pem))] = stackfile.literal(pem + "\n")
    file.set_revoked_tokens({str(uuid.uuid4()): "2099-01-01T00:00:00Z" for _ in range(10_000)})
    config = file.config()
    assert len(config.data_api.public_keys) == 125 and len(config.data_api.revoked_tokens) == 10_000
    file.set("tenants", [{"name": f"tenant{number:04}"} for number in range(5000)])
    with pytest.raises(ConfigError, match=r"settings are \d+ bytes as the engine passes them .* 131072"):
        file.config()


def test_more_ids_than_the_gateway_takes_are_refused_with_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.config.data_api.REVOKED_BYTES", 100)
    config = settings()
    config["dataApi"]["revokedTokens"] = {f"{ID}-{number}": "2099-01-01T00:00:00Z" for number in range(3)}
    with pytest.raises(ConfigError, match="3 ids are 117 bytes, but the gateway takes 100"):
        from_settings(config, "showdown")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "cannot be read"),
        (b"\xff", "cannot be read"),
        (f"{ID}\n".encode(), f"but one is '{ID}'"),
        (f"{ID} 2099-01-01T00:00:00Z x\n".encode(), "but one is"),
        (f"{ID} 2099-01-01T00:00:00Z\n{ID} 2099-01-01T00:00:00Z\n".encode(), "lists 1 ids twice"),
        (f"{ID} tomorrow\n".encode(), "'tomorrow' is no RFC 3339 timestamp"),
    ],
)
def test_a_file_of_revocations_that_is_none_is_told(stack: Path, text: bytes | None, problem: str) -> None:
    file = stackfile.StackFile("showdown", stack.parent)
    file.part("dataApi")["revokedTokens"] = "list.txt"
    file.write()
    if text is not None:
        (stack.parent / "list.txt").write_bytes(text)
    with pytest.raises(ConfigError) as caught:
        revoked(stack)
    assert problem in str(caught.value)


def test_the_file_of_revocations_is_in_the_stack_file_s_own_folder() -> None:
    config = settings()
    config["dataApi"]["revokedTokens"] = "../list.txt"
    with pytest.raises(ConfigError, match=r"'\.\./list\.txt' is not the name of a file"):
        from_settings(config, "showdown", lambda name: "")


@pytest.mark.parametrize("name", ["no.jwt", "./no.jwt", "a-token"])
def test_a_file_that_is_not_there_is_named_with_what_to_do(context: FakeContext, name: str) -> None:
    done = invoke(context, ta_revoke_token, "local", "showdown", name, "--no-apply")
    assert isinstance(done.exception, UserError), done
    assert name in str(done.exception) and "`./opstrace ta-tokens-list` lists the ids" in str(done.exception)
