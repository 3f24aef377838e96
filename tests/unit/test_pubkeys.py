"""The verbs that edit the stack's file: comments and order stay, and nothing is written that is refused."""

import difflib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from components.errors import UserError
from components.keys import canonical_pem, key_id
from scripts import stackfile
from scripts.keyfiles import new_key, write_key_pair
from scripts.pubkeys import ta_pubkeys_add, ta_pubkeys_list, ta_pubkeys_remove
from tests.unit.given import KEY, settings

COMMENT = "# the tenants of our teams"


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stack file with comments, of the instance `showdown`, in a folder of its own."""
    monkeypatch.setattr(stackfile, "STACKS", tmp_path)
    monkeypatch.setattr(stackfile.StackFile.__init__, "__defaults__", (tmp_path,))
    file = stackfile.StackFile("showdown", tmp_path)
    for name, value in settings().items():
        file.set(name, value)
    file.write()
    text = file.path.read_text().replace("  opstrace:tenants:", f"  {COMMENT}\n  opstrace:tenants: # in order of age")
    file.path.write_text(text)
    return file.path


def call(verb: object, *arguments: str) -> Result:
    return CliRunner().invoke(
        verb, ["local", "showdown", *arguments, *([] if verb is ta_pubkeys_list else ["--no-apply"])]
    )


def refused(result: Result) -> str:
    assert isinstance(result.exception, UserError), result
    return str(result.exception)


def test_a_key_is_added_and_the_rest_stays_as_it_was(stack: Path, tmp_path: Path) -> None:
    before = stack.read_text().splitlines()
    write_key_pair(tmp_path / "pair.pem")
    assert call(ta_pubkeys_add, str(tmp_path / "pair.pem")).exit_code == 0
    after = stack.read_text().splitlines()
    assert COMMENT in stack.read_text() and "# in order of age" in stack.read_text()
    assert not [line for line in difflib.ndiff(before, after) if line.startswith("- ")]
    assert len(call(ta_pubkeys_list).stdout.split()) == 2
    assert "PRIVATE KEY" not in stack.read_text()


def test_a_key_that_is_there_is_an_error_and_changes_nothing(stack: Path, tmp_path: Path) -> None:
    before = stack.read_text()
    (tmp_path / "public.pem").write_text(canonical_pem(KEY))
    assert "is there already" in refused(call(ta_pubkeys_add, str(tmp_path / "public.pem")))
    assert stack.read_text() == before


def test_an_unknown_key_is_an_error_that_names_those_there_are(stack: Path) -> None:
    said = refused(call(ta_pubkeys_remove, "0" * 40))
    assert "0" * 40 in said and key_id(KEY) in said


def test_the_last_key_goes_by_force_alone(stack: Path) -> None:
    before = stack.read_text()
    assert "--force" in refused(call(ta_pubkeys_remove, key_id(KEY)))
    assert stack.read_text() == before
    assert call(ta_pubkeys_remove, key_id(KEY), "--force").exit_code == 0
    assert call(ta_pubkeys_list).stdout == ""


def test_one_of_two_keys_is_removed(stack: Path, tmp_path: Path) -> None:
    key = new_key().public_key()
    (tmp_path / "public.pem").write_text(canonical_pem(key))
    call(ta_pubkeys_add, str(tmp_path / "public.pem"))
    assert call(ta_pubkeys_remove, key_id(KEY)).exit_code == 0
    assert call(ta_pubkeys_list).stdout.split() == [key_id(key)]


def test_an_instance_that_is_not_there_is_an_error_that_names_those_there_are(stack: Path) -> None:
    result = CliRunner().invoke(ta_pubkeys_list, ["local", "other"])
    assert "there are showdown" in refused(result)
