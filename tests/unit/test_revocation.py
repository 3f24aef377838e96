"""`ta-revoke-token`: what it writes, what it takes out again, and what it refuses to guess."""

import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from components.config import from_settings
from components.errors import ConfigError, UserError
from components.instants import instant, written
from components.keys import canonical_pem, key_id, public_key
from scripts import stackfile
from scripts.acceptance import refusals
from scripts.ledger import issued
from scripts.revocation import prune, ta_revoke_token
from scripts.signing import Grant, Signer
from scripts.token_reader import read_token
from tests.unit.given import JSON, PAIR, settings

SIGNER = Signer(PAIR)
ID = "11111111-2222-3333-4444-555555555555"


def call(*arguments: object, text: str | None = None) -> Result:
    command = ["local", "showdown", *map(str, arguments), "--no-apply"]
    return CliRunner().invoke(ta_revoke_token, command, input=text)


def revoked(stack: Path) -> dict[str, int]:
    return stackfile.StackFile("showdown", stack.parent).config().data_api.revoked_tokens


def test_a_token_is_revoked_by_its_file_with_its_own_end(stack: Path, tmp_path: Path) -> None:
    grant = Grant("showdown", "default")
    (tmp_path / "token.jwt").write_text(SIGNER.token(grant))
    assert call(tmp_path / "token.jwt").exit_code == 0
    assert revoked(stack) == {grant.id: grant.expires}
    assert f'"{grant.id}": "{written(grant.expires)}"' in stack.read_text()
    config = from_settings(stackfile.StackFile("showdown", stack.parent).settings(), "showdown")
    assert refusals(read_token(SIGNER.token(grant)), config, "showdown", time.time()) == ["it was revoked"]
    before = stack.read_text()
    assert call("-", text=SIGNER.token(grant)).exit_code == 0 and stack.read_text() == before


def test_an_id_has_its_end_from_the_ledger_or_by_hand(stack: Path) -> None:
    first, second = Grant("showdown", "default"), Grant("other", "default")
    issued(SIGNER, [first, second])
    assert call(first.id).exit_code == 0
    for unknown in (second.id, ID):
        done = call(unknown)
        assert isinstance(done.exception, UserError) and "--expires" in str(done.exception)
    assert call(ID, "--expires", "2099-01-01T00:00:00Z").exit_code == 0
    assert revoked(stack) == {first.id: first.expires, ID: instant("2099-01-01T00:00:00Z")}


def test_entries_of_tokens_that_have_ended_go_when_the_list_is_edited(stack: Path) -> None:
    file = stackfile.StackFile("showdown", stack.parent)
    just_now = written(time.time() - 10)
    file.set_revoked_tokens({"ended-long-ago": "2020-01-01T00:00:00Z", "ended-just-now": just_now})
    file.write()
    done = call(ID, "--expires", "2099-01-01T00:00:00Z")
    assert {*revoked(stack)} == {ID, "ended-just-now"} and "out of the list: 1" in done.stderr


def test_a_token_that_has_ended_needs_no_entry(stack: Path) -> None:
    done = call("-", text=SIGNER.token(Grant("showdown", "default", issued=0)))
    assert done.exit_code == 0 and "nothing to revoke" in done.stderr and revoked(stack) == {}


def test_what_cannot_be_revoked_is_told_and_changes_nothing(stack: Path, tmp_path: Path) -> None:
    before = stack.read_text()
    good = SIGNER.token(Grant("showdown", "default"))
    assert "is for 'opstrace-cluster-other'" in str(call("-", text=SIGNER.token(Grant("other", "a"))).exception)
    assert SIGNER.kid in str(call("-", text=SIGNER.token(Grant("showdown", "a", id="short"))).exception)
    assert "a token itself" in str((done := call(good)).exception) and good[:40] not in str(done.exception)
    assert isinstance(call("nosuch.jwt.file/x").exception, UserError)
    assert stack.read_text() == before


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ({"short": "2099-01-01T00:00:00Z"}, "revokedTokens.short"),
        ({"an id with blanks": "2099-01-01T00:00:00Z"}, "an id with blanks"),
        ({'x"):os.exit()--': "2099-01-01T00:00:00Z"}, "revokedTokens"),
        ({ID: "tomorrow"}, "'tomorrow' is no instant"),
        ({ID: "2099-01-01"}, "with its time zone"),
        ({ID: 4_070_908_800}, "'4070908800' is no instant"),
        ({ID: None}, "is no instant"),
        ([ID], "valid dictionary"),
        ("list.txt", "no file is read here"),
    ],
)
def test_an_entry_of_another_form_is_refused_with_its_name(entries: Any, told: str) -> None:
    given = settings()
    given["dataApi"]["revokedTokens"] = entries
    with pytest.raises(ConfigError) as caught:
        from_settings(given, "showdown")
    assert told in str(caught.value)


def test_a_date_that_a_yaml_reader_made_of_the_text_is_taken(stack: Path) -> None:
    text = stack.read_text().replace(
        "  opstrace:cluster:", f"    revokedTokens:\n      {ID}: 2099-01-01T01:00:00+01:00\n  opstrace:cluster:"
    )
    stack.write_text(text)
    assert revoked(stack) == {ID: instant("2099-01-01T00:00:00Z")}


@given(st.dictionaries(st.text(), JSON | st.datetimes()))
def test_no_list_raises_anything_but_config_error(entries: Any) -> None:
    given = settings()
    given["dataApi"]["revokedTokens"] = entries
    try:
        from_settings(given, "showdown")
    except ConfigError:
        assert entries
    prune({name: str(end) for name, end in entries.items()}, time.time())


def test_ten_thousand_revocations_fit_what_the_engine_hands_over(stack: Path) -> None:
    file = stackfile.StackFile("showdown", stack.parent)
    ids = [str(uuid.uuid4()) for _ in range(10_000)]
    file.set_revoked_tokens(dict.fromkeys(ids, "2099-01-01T00:00:00Z"))
    file.write()
    assert call(ID, "--expires", "2099-01-01T00:00:00Z").exit_code == 0
    assert {*revoked(stack)} == {*ids, ID} and len(stack.read_text()) < 10_000
    again = stackfile.StackFile("showdown", stack.parent)
    again.set_revoked_tokens({ID: "2099-01-01T00:00:00Z"})
    again.write()
    assert revoked(stack) == {ID: instant("2099-01-01T00:00:00Z")}
    stackfile.StackFile("showdown", stack.parent).remove()
    assert not list(stack.parent.glob("*showdown*"))


def _public_pem(number: int) -> str:
    """Return a key of 2,048 bits that nobody holds, without the time that making one takes."""
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
    with pytest.raises(ConfigError, match=r"settings are \d+ bytes as the engine hands them .* 131072"):
        file.config()


def test_more_ids_than_the_gateway_takes_are_refused_with_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.data_api_config.REVOKED_BYTES", 100)
    given = settings()
    given["dataApi"]["revokedTokens"] = {f"{ID}-{number}": "2099-01-01T00:00:00Z" for number in range(3)}
    with pytest.raises(ConfigError, match="3 ids are 117 bytes, but the gateway takes 100"):
        from_settings(given, "showdown")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "cannot be read"),
        (b"\xff", "cannot be read"),
        (f"{ID}\n".encode(), f"but one is '{ID}'"),
        (f"{ID} 2099-01-01T00:00:00Z x\n".encode(), "but one is"),
        (f"{ID} 2099-01-01T00:00:00Z\n{ID} 2099-01-01T00:00:00Z\n".encode(), "1 ids stand there twice"),
        (f"{ID} tomorrow\n".encode(), "'tomorrow' is no instant"),
    ],
)
def test_a_file_of_revocations_that_is_none_is_told(stack: Path, text: bytes | None, told: str) -> None:
    file = stackfile.StackFile("showdown", stack.parent)
    file.part("dataApi")["revokedTokens"] = "list.txt"
    file.write()
    if text is not None:
        (stack.parent / "list.txt").write_bytes(text)
    with pytest.raises(ConfigError) as caught:
        revoked(stack)
    assert told in str(caught.value)


def test_the_file_of_revocations_is_in_the_stack_file_s_own_folder() -> None:
    given = settings()
    given["dataApi"]["revokedTokens"] = "../list.txt"
    with pytest.raises(ConfigError, match=r"'\.\./list\.txt' is no name of a file"):
        from_settings(given, "showdown", lambda name: "")
