"""`ta-rotate-key`: each step once, however often it is stopped and called again."""

import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from components.access import KeyLimits, Scope
from components.errors import UserError
from components.instants import written
from components.keys import canonical_pem, key_id
from scripts import rotation, stackfile
from scripts.acceptance import refusals
from scripts.keyfiles import read_key_pair
from scripts.ledger import entries, issued
from scripts.rotation import ta_rotate_key
from scripts.signing import Grant, Signer
from scripts.token_reader import read_token
from tests.unit.given import KEY, PAIR, settings

OLD = key_id(KEY)


@pytest.fixture
def stack_settings() -> dict[str, Any]:
    return settings(tenants=[{"name": "default"}, {"name": "shop"}])


def rotate(stack: Path, *options: str, old: str = OLD) -> Result:
    folder = stack.parent
    command = ["local", "showdown", old, str(folder / "new.pem"), "--out-dir", str(folder / "new"), "--no-apply"]
    return CliRunner().invoke(ta_rotate_key, [*command, "--tenant", "default", *options])


def limits(stack: Path) -> dict[str, KeyLimits]:
    return stackfile.StackFile("showdown", stack.parent).config().data_api.limits


def new_kid(stack: Path) -> str:
    return key_id(read_key_pair(stack.parent / "new.pem").public_key())


def test_a_rotation_from_its_begin_to_its_end(stack: Path) -> None:
    issued(Signer(PAIR), [Grant("showdown", "default"), Grant("showdown", "shop", name="web")])
    done = rotate(stack, "--overlap", "2d")
    assert done.exit_code == 0, done
    found = limits(stack)
    assert {*found} == {OLD, new_kid(stack)} and found[new_kid(stack)] == KeyLimits()
    assert abs((found[OLD].not_after or 0) - time.time() - 2 * 86_400) < 10
    token = (stack.parent / "new" / "showdown-default.jwt").read_text()
    config = stackfile.StackFile("showdown", stack.parent).config()
    assert refusals(read_token(token), config, "showdown", time.time()) == []
    assert (stack.parent / "new" / "showdown-default.jwt").stat().st_mode & 0o777 == 0o600
    assert "the same command once more" in done.stderr
    assert "the tenant shop, which you did not name, these tokens end with the old key: web (everything)" in done.stderr
    assert "of the tenant default, for which" not in done.stderr

    again = rotate(stack, "--overlap", "2d")  # before the end: nothing changes
    assert again.exit_code == 0 and limits(stack) == found and len(entries()[0]) == 3
    assert (stack.parent / "new" / "showdown-default.jwt").read_text() == token

    file = stackfile.StackFile("showdown", stack.parent)
    file.public_keys()[OLD]["notAfter"] = written(time.time() - 1)
    file.write()
    last = rotate(stack, "--overlap", "2d")
    assert {*limits(stack)} == {new_kid(stack)} and "nothing is left to do" in last.stderr
    over = rotate(stack, "--overlap", "2d")
    assert over.exit_code == 0 and "nothing is left to do" in over.stderr and {*limits(stack)} == {new_kid(stack)}


@pytest.mark.parametrize("stopped", ["write_key_pair", "apply", "issued", "write_secret", "second apply"])
def test_stopped_at_any_step_it_goes_on(stack: Path, monkeypatch: pytest.MonkeyPatch, stopped: str) -> None:
    calls = []

    def stop(*arguments: object, **options: object) -> None:
        calls.append(arguments)
        if stopped != "second apply" or len(calls) == 2:
            raise UserError("stopped")

    with monkeypatch.context() as patch:
        if "apply" in stopped:
            real = rotation.finish

            def finish(*arguments: object, **options: object) -> None:
                stop()
                real(*arguments, **options)

            patch.setattr(rotation, "finish", finish)
        else:
            patch.setattr(rotation, stopped, stop)
        assert str(rotate(stack).exception) == "stopped"
    assert rotate(stack).exit_code == 0
    assert {*limits(stack)} == {OLD, new_kid(stack)} and limits(stack)[OLD].not_after
    token = (stack.parent / "new" / "showdown-default.jwt").read_text()
    assert read_token(token).kid == new_kid(stack)


def test_an_update_that_fails_at_any_step_is_made_again(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is written then; the engine has not made it so."""
    real, applied = rotation.finish, []

    def failing(*arguments: Any, **options: Any) -> None:
        real(*arguments, **options)
        raise UserError("the update failed")

    def working(*arguments: Any, **options: Any) -> None:
        real(*arguments, **options)
        applied.append({*limits(stack)})

    def fails() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(rotation, "finish", failing)
            assert str(rotate(stack, "--overlap", "2d").exception) == "the update failed"

    monkeypatch.setattr(rotation, "finish", working)
    fails()  # when the new key is let in
    assert rotate(stack, "--overlap", "2d").exit_code == 0 and applied[-1] == {OLD, new_kid(stack)}
    applied.clear()
    fails()  # when the old one gets its end, once more
    assert rotate(stack, "--overlap", "2d").exit_code == 0 and applied == [{OLD, new_kid(stack)}]
    file = stackfile.StackFile("showdown", stack.parent)
    file.public_keys()[OLD]["notAfter"] = written(time.time() - 1)
    file.write()
    applied.clear()
    fails()  # when the old one is taken out
    assert rotate(stack, "--overlap", "2d").exit_code == 0 and applied == [{new_kid(stack)}]


def test_the_new_key_has_the_old_one_s_limits_but_not_its_end(stack: Path) -> None:
    file = stackfile.StackFile("showdown", stack.parent)
    soon = written(time.time() + 3600)
    file.public_keys()[OLD] = {
        "pem": canonical_pem(KEY),
        "tenants": ["default"],
        "scopes": ["logs:read"],
        "notAfter": soon,
    }
    file.write()
    assert rotate(stack).exit_code == 0
    found = limits(stack)
    assert found[new_kid(stack)] == KeyLimits(("default",), ("logs:read",), None)
    assert written(found[OLD].not_after or 0) == soon  # earlier than the overlap would end


def test_a_new_token_is_for_no_more_than_the_old_ones_and_the_others_are_named(stack: Path) -> None:
    reads: tuple[Scope, ...] = ("metrics:read", "logs:read")
    grants = [Grant("showdown", "default", scopes=(scope,), name=scope) for scope in reads]
    issued(Signer(PAIR), [*grants, Grant("elsewhere", "default"), Grant("showdown", "default", issued=1)])
    gone = Grant("showdown", "default")  # for everything, and revoked
    issued(Signer(PAIR), [gone])
    file = stackfile.StackFile("showdown", stack.parent)
    file.set_revoked_tokens({gone.id: "2099-01-01T00:00:00Z"})
    file.write()
    done = rotate(stack)
    assert "is a new token of the tenant default, for metrics:read, logs:read: give it" in done.stderr
    claims = read_token((stack.parent / "new" / "showdown-default.jwt").read_text()).claims
    assert claims["scope"] == "metrics:read logs:read"
    assert (
        "the tenant default, for which one new token was made, these tokens end with the old key: "
        "metrics:read (metrics:read), logs:read (logs:read)"
    ) in done.stderr.replace("\n", " ")

    issued(Signer(PAIR), [Grant("showdown", "shop", scopes=("logs:read",)), Grant("showdown", "shop")])
    assert rotate(stack, "--tenant", "shop").exit_code == 0
    assert "scope" not in read_token((stack.parent / "new" / "showdown-shop.jwt").read_text()).claims


def test_what_cannot_be_rotated_is_told_before_anything_is_made(stack: Path) -> None:
    before = stack.read_text()
    (stack.parent / "new").mkdir()
    (stack.parent / "new" / "showdown-default.jwt").write_text(Signer(PAIR).token(Grant("showdown", "default")))
    assert "is not overwritten" in str(rotate(stack).exception) and stack.read_text() == before
    assert "accepts no key" in str(rotate(stack, old="0" * 40).exception)
    assert "'UP'" in str(rotate(stack, "--tenant", "UP").exception)
    assert "the old key itself" in str(rotate(stack, old=_add_new(stack)).exception)


def _add_new(stack: Path) -> str:
    """Let the key pair that the verb would take for the new one be among the keys; return its id."""
    file = stackfile.StackFile("showdown", stack.parent)
    key = read_key_pair(stack.parent / "new.pem").public_key()
    file.public_keys()[key_id(key)] = canonical_pem(key)
    file.write()
    return key_id(key)
