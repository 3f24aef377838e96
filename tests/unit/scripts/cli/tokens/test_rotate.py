"""`ta-rotate-key` does each step once, even if it is stopped and run again several times."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from click.testing import Result

from components.core.errors import UserError
from components.core.public_keys import canonical_pem, key_id
from components.core.scopes import KeyLimits, Scope
from components.core.timestamps import format_rfc3339
from scripts.cli.tokens.rotate import ta_rotate_key
from scripts.clients.providers import Provider
from scripts.stackfile.file import StackFile
from scripts.tokens.issued import entries, issued
from scripts.tokens.key_files import read_key_pair, write_key_pair
from scripts.tokens.parse import read_token
from scripts.tokens.signing import Grant, Signer
from scripts.tokens.verify import refusals
from tests.support.contexts import FakeContext, invoke
from tests.support.factories import KEY, PAIR, settings
from tests.support.full_disk import fill_disk

OLD = key_id(KEY)


@pytest.fixture
def stack_settings() -> dict[str, Any]:
    return settings(tenants=[{"name": "default"}, {"name": "shop"}])


class Engine:
    """An engine with an empty state, which calls `update` at each update."""

    def __init__(self, update: Callable[[], None]) -> None:
        self._update = update

    def state(self) -> list[dict[str, Any]]:
        return []

    def up(self, *_: Any) -> None:
        self._update()


class Stopping(FakeContext):
    """A context whose account does not answer a command for the `number`th time, before the command writes its file."""

    def __init__(self, stacks: Path, number: int) -> None:
        super().__init__(stacks, lambda stack: Engine(lambda: None))
        self._left = number

    def clients(self, provider: Provider, config: Any) -> Any:
        self._left -= 1
        if self._left == 0:
            raise UserError("stopped")
        return super().clients(provider, config)


def rotate(stack: Path, *options: str, old: str = OLD, context: FakeContext | None = None) -> Result:
    folder = stack.parent
    context = context or FakeContext(folder, lambda stack: Engine(lambda: None))
    command = ["local", "showdown", old, folder / "new.pem", "--out-dir", folder / "new"]
    return invoke(context, ta_rotate_key, *command, "--tenant", "default", *options)


def limits(stack: Path) -> dict[str, KeyLimits]:
    return StackFile("showdown", stack.parent).config().data_api.limits


def new_kid(stack: Path) -> str:
    return key_id(read_key_pair(stack.parent / "new.pem").public_key())


def test_a_rotation_from_its_begin_to_its_end(stack: Path) -> None:
    issued(
        Signer(PAIR),
        [Grant(instance="showdown", tenant="default"), Grant(instance="showdown", tenant="shop", name="web")],
    )
    done = rotate(stack, "--overlap", "2d")
    assert done.exit_code == 0, done
    rotated = limits(stack)
    assert {*rotated} == {OLD, new_kid(stack)} and rotated[new_kid(stack)] == KeyLimits()
    assert abs((rotated[OLD].not_after or 0) - time.time() - 2 * 86_400) < 10
    token = (stack.parent / "new" / "showdown-default.jwt").read_text()
    config = StackFile("showdown", stack.parent).config()
    assert refusals(read_token(token), config, "showdown", time.time()) == []
    assert (stack.parent / "new" / "showdown-default.jwt").stat().st_mode & 0o777 == 0o600
    assert "the same command once more" in done.stderr
    assert "the tenant shop, which you did not name, these tokens end with the old key: web (everything)" in done.stderr
    assert "of the tenant default, for which" not in done.stderr

    again = rotate(stack, "--overlap", "2d")  # before the end: nothing changes
    assert again.exit_code == 0 and limits(stack) == rotated and len(entries()[0]) == 3
    assert (stack.parent / "new" / "showdown-default.jwt").read_text() == token

    file = StackFile("showdown", stack.parent)
    file.public_keys()[OLD]["notAfter"] = format_rfc3339(time.time() - 1)
    file.write()
    last = rotate(stack, "--overlap", "2d")
    assert {*limits(stack)} == {new_kid(stack)} and "nothing is left to do" in last.stderr
    over = rotate(stack, "--overlap", "2d")
    assert over.exit_code == 0 and "nothing is left to do" in over.stderr and {*limits(stack)} == {new_kid(stack)}


APPLIES = {"apply": 1, "second apply": 2}
FILES = {"write_key_pair": "new.pem", "issued": "issued-tokens.jsonl", "write_secret": "showdown-default.jwt"}


@pytest.mark.parametrize("stopped", ["write_key_pair", "apply", "issued", "write_secret", "second apply"])
def test_stopped_at_any_step_it_goes_on(stack: Path, monkeypatch: pytest.MonkeyPatch, stopped: str) -> None:
    if stopped in APPLIES:
        assert str(rotate(stack, context=Stopping(stack.parent, APPLIES[stopped])).exception) == "stopped"
    else:
        with monkeypatch.context() as patch:
            fill_disk(patch, FILES[stopped])
            done = rotate(stack)
        assert isinstance(done.exception, UserError) and f"{FILES[stopped]}" in str(done.exception)
    if stopped == "apply":  # the key pair exists, and the stack file does not have its key yet
        assert new_kid(stack) in str(rotate(stack).exception)
        assert rotate(stack, "--existing").exit_code == 0
    assert rotate(stack).exit_code == 0
    assert {*limits(stack)} == {OLD, new_kid(stack)} and limits(stack)[OLD].not_after
    token = (stack.parent / "new" / "showdown-default.jwt").read_text()
    assert read_token(token).kid == new_kid(stack)


def test_an_update_that_fails_at_any_step_is_made_again(stack: Path) -> None:
    """The file is written then, but the update has failed."""
    applied: list[set[str]] = []

    def fail() -> None:
        raise UserError("the update failed")

    def run(update: Callable[[], None]) -> Result:
        return rotate(stack, "--overlap", "2d", context=FakeContext(stack.parent, lambda stack: Engine(update)))

    def fails() -> None:
        assert str(run(fail).exception) == "the update failed"

    def works() -> None:
        assert run(lambda: applied.append({*limits(stack)})).exit_code == 0

    fails()  # when the new key is added
    works()
    assert applied[-1] == {OLD, new_kid(stack)}
    applied.clear()
    fails()  # when the old key gets its end, once more
    works()
    assert applied == [{OLD, new_kid(stack)}]
    file = StackFile("showdown", stack.parent)
    file.public_keys()[OLD]["notAfter"] = format_rfc3339(time.time() - 1)
    file.write()
    applied.clear()
    fails()  # when the old key is removed
    works()
    assert applied == [{new_kid(stack)}]


def test_the_new_key_has_the_old_one_s_limits_but_not_its_end(stack: Path) -> None:
    file = StackFile("showdown", stack.parent)
    soon = format_rfc3339(time.time() + 3600)
    file.public_keys()[OLD] = {
        "pem": canonical_pem(KEY),
        "tenants": ["default"],
        "scopes": ["logs:read"],
        "notAfter": soon,
    }
    file.write()
    assert rotate(stack).exit_code == 0
    rotated = limits(stack)
    assert rotated[new_kid(stack)] == KeyLimits(("default",), ("logs:read",), None)
    assert format_rfc3339(rotated[OLD].not_after or 0) == soon  # earlier than the overlap would end


def test_a_new_token_is_for_no_more_than_the_old_ones_and_the_others_are_named(stack: Path) -> None:
    reads: tuple[Scope, ...] = ("metrics:read", "logs:read")
    grants = [Grant(instance="showdown", tenant="default", scopes=(scope,), name=scope) for scope in reads]
    issued(
        Signer(PAIR),
        [
            *grants,
            Grant(instance="elsewhere", tenant="default"),
            Grant(instance="showdown", tenant="default", issued=1),
        ],
    )
    gone = Grant(instance="showdown", tenant="default")  # for everything, and revoked
    issued(Signer(PAIR), [gone])
    file = StackFile("showdown", stack.parent)
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

    issued(
        Signer(PAIR),
        [Grant(instance="showdown", tenant="shop", scopes=("logs:read",)), Grant(instance="showdown", tenant="shop")],
    )
    assert rotate(stack, "--tenant", "shop").exit_code == 0
    assert "scope" not in read_token((stack.parent / "new" / "showdown-shop.jwt").read_text()).claims


def test_what_cannot_be_rotated_is_told_before_anything_is_made(stack: Path) -> None:
    before = stack.read_text()
    (stack.parent / "new").mkdir()
    (stack.parent / "new" / "showdown-default.jwt").write_text(
        Signer(PAIR).token(Grant(instance="showdown", tenant="default"))
    )
    assert "is not overwritten" in str(rotate(stack).exception) and stack.read_text() == before
    claims = jwt.decode(
        Signer(PAIR).token(Grant(instance="showdown", tenant="default")), options={"verify_signature": False}
    )
    forged = jwt.encode(claims, PAIR, algorithm="RS256", headers={"kid": new_kid(stack)})
    (stack.parent / "new" / "showdown-default.jwt").write_text(forged)  # it names the new key, which did not sign it
    assert "is not overwritten" in str(rotate(stack, "--existing").exception) and stack.read_text() == before
    assert "accepts no key" in str(rotate(stack, old="0" * 40).exception)
    assert "'UP'" in str(rotate(stack, "--tenant", "UP").exception)
    assert "the old key itself" in str(rotate(stack, old=_add_new(stack)).exception)


def test_a_key_pair_that_was_put_there_is_not_let_in(stack: Path) -> None:
    """Everyone who knows the key could make tokens of every tenant."""
    write_key_pair(stack.parent / "new.pem")
    before, kid = stack.read_text(), new_kid(stack)
    done = rotate(stack)
    assert isinstance(done.exception, UserError) and stack.read_text() == before
    assert kid in str(done.exception) and "--existing" in str(done.exception)
    assert not (stack.parent / "new").exists() and entries() == ([], 0)
    assert rotate(stack, "--existing").exit_code == 0 and {*limits(stack)} == {OLD, kid}
    assert rotate(stack).exit_code == 0


def _add_new(stack: Path) -> str:
    """Add the key pair that the command would use as the new one to the keys; return its id."""
    file = StackFile("showdown", stack.parent)
    key = read_key_pair(stack.parent / "new.pem").public_key()
    file.public_keys()[key_id(key)] = canonical_pem(key)
    file.write()
    return key_id(key)
