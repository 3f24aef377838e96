"""A stack file is replaced atomically: readers see the old text or the new one, and a failed write keeps the old one."""

import os
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from components.core.errors import UserError
from scripts.stackfile.file import StackFile
from scripts.stackfile.revoked_tokens import LONGEST_INLINE

REVOKED = {f"token-{number:04}": "2099-01-01T00:00:00Z" for number in range(300)}


@pytest.fixture
def strict_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def changed(stack: Path) -> StackFile:
    file = StackFile("showdown", stack.parent)
    file.set("tags", {"team": "naïve"})
    file.set_revoked_tokens(REVOKED)
    return file


def test_both_files_are_readable_for_all_whatever_the_umask(stack: Path, strict_umask: None) -> None:
    file = changed(stack)
    file.write()
    assert {stat.S_IMODE(path.stat().st_mode) for path in (file.path, file.list_path)} == {0o644}
    again = StackFile("showdown", stack.parent)
    assert again.settings()["tags"] == {"team": "naïve"}
    assert again.settings()["dataApi"]["revokedTokens"] == file.list_path.name
    assert file.list_path.read_text().splitlines()[1:] == [f"{name} {end}" for name, end in REVOKED.items()]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, names = stack.read_bytes(), {*stack.parent.iterdir()}
    file = StackFile("showdown", stack.parent)
    file.set("tags", {"team": "a"})

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fchmod", full_disk)
    with pytest.raises(OSError, match="No space left"):
        file.write()
    assert stack.read_bytes() == before and {*stack.parent.iterdir()} == names


def test_a_link_stays_a_link_and_the_file_that_it_names_is_edited(stack: Path, tmp_path: Path) -> None:
    """Users keep stack files in another repository."""
    target = tmp_path / "other" / "showdown.yaml"
    target.parent.mkdir()
    stack.rename(target)
    target.chmod(0o640)
    stack.symlink_to(os.path.relpath(target, stack.parent))
    file = StackFile("showdown", stack.parent)
    file.set("tags", {"team": "a"})
    file.write()
    assert stack.is_symlink() and stat.S_IMODE(target.stat().st_mode) == 0o640
    assert target.read_text().endswith("  opstrace:tags:\n    team: a\n")
    assert {*target.parent.iterdir()} == {target}


@pytest.mark.parametrize("mode", [0o600, 0o664])
def test_a_file_keeps_its_mode(stack: Path, mode: int, strict_umask: None) -> None:
    stack.chmod(mode)
    changed(stack).write()
    assert stat.S_IMODE(stack.stat().st_mode) == mode


def test_a_file_keeps_its_owner_where_the_user_may_give_it_away(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root edits the files of others, and only root gives files to others."""
    given: list[tuple[int, int]] = []
    monkeypatch.setattr("os.fchown", lambda _, user, group: given.append((user, group)))
    changed(stack).write()
    assert given == [(stack.stat().st_uid, stack.stat().st_gid)]

    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.fchown", refused)
    again = StackFile("showdown", stack.parent)
    again.set("tags", {"team": "b"})
    again.write()
    assert StackFile("showdown", stack.parent).settings()["tags"] == {"team": "b"}


def test_of_two_commands_that_write_at_once_one_is_told_and_no_edit_is_lost(stack: Path) -> None:
    for round_number in range(20):
        files = [StackFile("showdown", stack.parent) for _ in range(2)]
        names = [f"a{round_number}", f"b{round_number}"]
        for file, name in zip(files, names, strict=True):
            file.part("labels")[name] = "value"
        start = threading.Barrier(2)

        def write(file: StackFile, start: threading.Barrier = start) -> str:
            start.wait()
            try:
                file.write()
            except UserError as error:
                return str(error)
            return ""

        with ThreadPoolExecutor(2) as pool:
            refusals = [*pool.map(write, files)]
        kept = [name for name in names if f"{name}: value" in stack.read_text()]
        assert [name for name, refusal in zip(names, refusals, strict=True) if not refusal] == kept
        assert len(kept) == 1 and any("was changed by another program" in refusal for refusal in refusals)


def revoked(stack: Path, *ids: str) -> StackFile:
    """Return the stack file with these ids added to its long list of revoked tokens, which is not written yet."""
    file = StackFile("showdown", stack.parent)
    file.set_revoked_tokens(file.revoked_tokens() | dict.fromkeys(ids, "2030-01-01T00:00:00Z"))
    return file


def test_of_two_edits_of_a_long_list_the_second_is_told_and_no_revocation_is_lost(stack: Path) -> None:
    revoked(stack, *(f"revoked-{number}" for number in range(LONGEST_INLINE + 1))).write()
    first, second = revoked(stack, "revoked-by-the-page"), revoked(stack, "revoked-by-a-command")
    second.write()
    with pytest.raises(UserError, match=r"revoked-tokens\.showdown\.txt was changed by another program"):
        first.write()
    assert "revoked-by-a-command" in StackFile("showdown", stack.parent).revoked_tokens()


def test_the_difference_shows_what_changes_in_a_long_list(stack: Path) -> None:
    revoked(stack, *(f"revoked-{number}" for number in range(LONGEST_INLINE + 1))).write()
    file = revoked(stack, "revoked-now")
    assert "+revoked-now 2030-01-01T00:00:00Z\n" in file.difference()
    file.write()
    assert file.difference() == "" and [*file.changes()] == ["revoked-tokens.showdown.txt"]
