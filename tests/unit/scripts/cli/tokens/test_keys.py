"""The commands that edit the stack file: comments and order stay, and a refused edit leaves the file as it is."""

import difflib
from pathlib import Path

import click
import pytest
from click.testing import Result
from cryptography.hazmat.primitives.asymmetric import rsa

from components.core import public_keys
from components.core.errors import UserError
from components.core.public_keys import canonical_pem, key_id
from scripts.cli.tokens.keys import ta_pubkeys_add, ta_pubkeys_list, ta_pubkeys_remove
from scripts.stackfile.file import StackFile
from scripts.tokens.key_files import new_key, write_key_pair
from tests.support.contexts import FakeContext, invoke
from tests.support.factories import KEY, settings

COMMENT = "# the tenants of our teams"


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """A stack file with comments, of the instance `showdown`, in a folder of its own."""
    file = StackFile("showdown", tmp_path)
    for name, value in settings().items():
        file.set(name, value)
    file.write()
    text = file.path.read_text().replace("  opstrace:tenants:", f"  {COMMENT}\n  opstrace:tenants: # in order of age")
    file.path.write_text(text)
    return file.path


def call(context: FakeContext, verb: click.Command, *arguments: str) -> Result:
    return invoke(context, verb, "local", "showdown", *arguments, *([] if verb is ta_pubkeys_list else ["--no-apply"]))


def refused(result: Result) -> str:
    assert isinstance(result.exception, UserError), result
    return str(result.exception)


def test_a_key_is_added_and_the_rest_stays_as_it_was(stack: Path, context: FakeContext, tmp_path: Path) -> None:
    before = stack.read_text().splitlines()
    write_key_pair(tmp_path / "pair.pem")
    assert call(context, ta_pubkeys_add, str(tmp_path / "pair.pem")).exit_code == 0
    after = stack.read_text().splitlines()
    assert COMMENT in stack.read_text() and "# in order of age" in stack.read_text()
    assert not [line for line in difflib.ndiff(before, after) if line.startswith("- ")]
    assert len(call(context, ta_pubkeys_list).stdout.split()) == 2
    assert "PRIVATE KEY" not in stack.read_text()


def test_a_key_that_is_there_is_an_error_and_changes_nothing(stack: Path, context: FakeContext, tmp_path: Path) -> None:
    before = stack.read_text()
    (tmp_path / "public.pem").write_text(canonical_pem(KEY))
    again = refused(call(context, ta_pubkeys_add, str(tmp_path / "public.pem")))
    assert "has the key" in again and "`./opstrace recover local showdown`, then `pulumi up --stack showdown`" in again
    assert stack.read_text() == before


def test_an_unknown_key_is_an_error_that_names_those_there_are(stack: Path, context: FakeContext) -> None:
    message = refused(call(context, ta_pubkeys_remove, "0" * 40))
    assert "0" * 40 in message and key_id(KEY) in message


def test_the_last_key_goes_by_force_alone(stack: Path, context: FakeContext) -> None:
    before = stack.read_text()
    assert "--force" in refused(call(context, ta_pubkeys_remove, key_id(KEY)))
    assert stack.read_text() == before
    assert call(context, ta_pubkeys_remove, key_id(KEY), "--force").exit_code == 0
    assert call(context, ta_pubkeys_list).stdout == ""


def test_one_of_two_keys_is_removed(stack: Path, context: FakeContext, tmp_path: Path) -> None:
    key = new_key().public_key()
    (tmp_path / "public.pem").write_text(canonical_pem(key))
    call(context, ta_pubkeys_add, str(tmp_path / "public.pem"))
    assert call(context, ta_pubkeys_remove, key_id(KEY)).exit_code == 0
    assert call(context, ta_pubkeys_list).stdout.split() == [key_id(key)]


def test_an_instance_that_is_not_there_is_an_error_that_names_those_there_are(
    stack: Path, context: FakeContext
) -> None:
    result = invoke(context, ta_pubkeys_list, "local", "other")
    assert "there are showdown" in refused(result)


def test_a_key_that_the_gateway_drops_is_refused_and_can_be_removed_from_the_file(
    stack: Path, context: FakeContext, tmp_path: Path
) -> None:
    numbers = KEY.public_numbers()
    key = rsa.RSAPublicNumbers(37, numbers.n).public_key()
    (tmp_path / "public.pem").write_text(canonical_pem(key))
    before = stack.read_text()
    assert "public exponent 37" in refused(call(context, ta_pubkeys_add, str(tmp_path / "public.pem")))
    assert stack.read_text() == before

    file = StackFile("showdown", stack.parent)  # as an older version wrote it
    file.public_keys()[key_id(key)] = canonical_pem(key)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(public_keys, "_envoy_problem", lambda _: None)
        file.write()
    told = refused(call(context, ta_pubkeys_list))
    assert f"key {key_id(key)}: an RSA key with the public exponent 37" in told
    assert "ta-pubkeys-remove" in told and "ta-create-keypair" in told
    assert call(context, ta_pubkeys_remove, key_id(key)).exit_code == 0
    assert stack.read_text() == before


def test_a_key_for_a_tenant_that_does_not_exist_gets_a_warning(
    stack: Path, context: FakeContext, tmp_path: Path
) -> None:
    write_key_pair(tmp_path / "pair.pem")
    (stack.parent / "Pulumi.showdown.alone.yaml").touch()
    tenants = [option for name in ("shop", "default", "alone") for option in ("--tenant", name)]
    added = call(context, ta_pubkeys_add, str(tmp_path / "pair.pem"), *tenants)
    told, _, difference = added.stderr.partition("--- ")
    assert added.exit_code == 0 and told == (
        "warning: showdown has no tenant shop, so this key opens nothing of it until there is one: "
        "`./opstrace tenants add local showdown shop`\n"
    )
    assert "BEGIN PUBLIC KEY" in difference  # the change of the file
