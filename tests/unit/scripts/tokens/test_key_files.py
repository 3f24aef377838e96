"""Files with keys and tokens: their owner, their mode, and their kind."""

import os
import subprocess
from pathlib import Path

import pytest

from components.core.errors import KeyFileError, UserError
from components.core.public_keys import canonical_pem
from scripts.cli.tokens.rotate import ta_rotate_key
from scripts.tokens.key_files import read_key_pair, read_public_key, write_key_pair
from scripts.tokens.parse import token_in
from scripts.tokens.signing import Grant, Signer
from tests.support.contexts import FakeContext, invoke
from tests.support.factories import KEY, PAIR
from tests.support.shell import ROOT


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    write_key_pair(tmp_path / "pair.pem")
    return tmp_path / "pair.pem"


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_key_pair_that_others_may_write_is_refused(pair: Path, mode: int) -> None:
    pair.chmod(mode)
    for read in (read_key_pair, read_public_key):
        with pytest.raises(KeyFileError, match=rf"mode {mode:04o}.*chmod 600 "):
            read(pair)


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_key_pair_that_others_may_read_is_taken_with_a_warning(
    pair: Path, mode: int, capsys: pytest.CaptureFixture[str]
) -> None:
    read_key_pair(pair)
    assert capsys.readouterr().err == ""
    pair.chmod(mode)
    read_key_pair(pair)
    assert f"`chmod 600 {pair}`" in capsys.readouterr().err


def test_a_key_pair_of_another_user_is_refused(pair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = pair.stat().st_uid
    if owner == 0:  # root may give a file away, and everybody may use a file of root
        os.chown(pair, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(KeyFileError, match="belongs to the user"):
        read_key_pair(pair)


def test_a_public_key_may_belong_to_any_user(tmp_path: Path) -> None:
    file = tmp_path / "public.pem"
    file.write_text(canonical_pem(KEY))
    file.chmod(0o666)
    assert canonical_pem(read_public_key(file)) == canonical_pem(KEY)


@pytest.mark.parametrize("kind", ["FIFO", "device", "folder"])
def test_only_regular_files_are_opened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "given"
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    reason = f"it is a {kind}, and only a regular file is read"
    for read in (read_key_pair, read_public_key):
        with pytest.raises(KeyFileError, match=reason):
            read(path)
    with pytest.raises(UserError, match=reason):
        token_in(str(path))


def test_a_fifo_in_place_of_a_new_token_file_does_not_block(stack: Path, context: FakeContext) -> None:
    (stack.parent / "new").mkdir()
    os.mkfifo(stack.parent / "new" / "showdown-default.jwt")
    kid, new = Signer(PAIR).kid, stack.parent / "new.pem"
    options = ["--tenant", "default", "--out-dir", str(new.with_name("new")), "--no-apply"]
    done = invoke(context, ta_rotate_key, "local", "showdown", kid, new, *options)
    assert "is not overwritten" in str(done.exception)


def test_standard_input_may_be_a_pipe() -> None:
    token = Signer(PAIR).token(Grant(instance="showdown", tenant="default"))
    done = subprocess.run(
        [ROOT / "opstrace", "ta-inspect-token", "-"], input=token, capture_output=True, text=True, check=True
    )
    assert "'default'" in done.stdout
