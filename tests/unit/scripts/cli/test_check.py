"""`check`, and the preflight of `create` and of the verbs that change tenants."""

import json
from pathlib import Path
from typing import Any

import pytest

from components.config.load import from_settings
from components.core.errors import UserError
from scripts.checks.finding import Finding, error, ok, warning
from scripts.checks.subject import Subject
from scripts.cli.check import check
from scripts.cli.create import create
from scripts.cli.tenants.edit import add, set_
from scripts.cli.tokens.revoke import ta_revoke_token
from scripts.clients.providers import Provider
from scripts.context.context import Context
from scripts.stackfile.file import StackFile
from tests.support.contexts import FakeContext, WithoutProvider, invoke
from tests.support.factories import settings

OK, WARNING = ok("region", "us-west-2"), warning("CAA", "not checked", "allow it")
ERROR = error("subnets", "there is no subnet-1", "correct it")


class Updated(Exception):  # noqa: N818 not an error: the test's engine was reached
    """The engine was reached."""


class Engine:
    """An engine without stacks, whose updates end the command."""

    instance = "showdown"

    def stacks(self) -> list[str]:
        return []

    def state(self) -> list[dict[str, Any]]:
        return []

    def require_secrets_provider(self, *_: Any) -> None:
        """Accept any."""

    def ensure_stack(self, **_: Any) -> None:
        """Do nothing."""

    def up(self, *_: Any) -> None:
        raise Updated

    settle = up


def context(folder: Path, *findings: Finding, local: bool = False) -> FakeContext:
    made = FakeContext(folder, lambda _: Engine(), provider=Provider({}, is_local=local))
    made.findings = [*findings]
    return made


def test_check_prints_a_line_each_and_fails_with_an_error(stack: Path) -> None:
    done = invoke(context(stack.parent, OK, WARNING), check, "aws", "showdown")
    assert done.exit_code == 0
    assert done.stdout == "ok       region: us-west-2\nwarning  CAA: not checked; allow it\n"
    done = invoke(context(stack.parent, OK, ERROR), check, "aws", "showdown")
    assert done.exit_code == 1 and done.stdout.endswith("error    subnets: there is no subnet-1; correct it\n")
    done = invoke(context(stack.parent, OK, ERROR), check, "aws", "showdown", "--json")
    assert done.exit_code == 1 and json.loads(done.stdout) == [OK.plain(), ERROR.plain()]
    assert OK.plain() == {"name": "region", "level": "ok", "message": "us-west-2", "remedy": ""}


def test_check_needs_no_key_and_writes_none(stack: Path) -> None:
    file = StackFile("showdown", stack.parent)
    file.set("dataApi", {})
    file.write()
    before = stack.read_text()
    assert invoke(context(stack.parent, OK), check, "aws", "showdown").exit_code == 0
    assert stack.read_text() == before


def test_check_is_for_aws_and_installs_nothing_to_say_so(stack: Path) -> None:
    made = WithoutProvider(stack.parent)
    done = invoke(made, check, "local", "showdown")
    assert isinstance(done.exception, UserError) and "for the provider `aws`" in str(done.exception)


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (create, ("aws", "showdown", "--tenant", "shop")),
        (add, ("aws", "showdown", "shop")),
        (set_, ("aws", "showdown", "default", "owner=me")),
    ],
)
def test_an_error_of_the_preflight_stops_before_anything_changes(
    stack: Path, monkeypatch: pytest.MonkeyPatch, command: Any, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(stack.parent)
    before = {path: path.read_text() for path in stack.parent.iterdir() if path.is_file()}
    done = invoke(context(stack.parent, WARNING, ERROR), command, *arguments)
    assert isinstance(done.exception, UserError)
    assert str(done.exception) == "the preflight found: subnets: there is no subnet-1; correct it"
    assert "warning: CAA: not checked; allow it" in done.stderr
    assert {path: path.read_text() for path in stack.parent.iterdir() if path.is_file()} == before
    assert isinstance(invoke(context(stack.parent, WARNING), command, *arguments).exception, Updated)


def test_the_embedded_cloud_has_no_preflight(stack: Path) -> None:
    done = invoke(context(stack.parent, ERROR, local=True), set_, "local", "showdown", "default", "owner=me")
    assert isinstance(done.exception, Updated)


def test_a_revocation_does_not_wait_for_the_account(stack: Path) -> None:
    token_id = "0b0b0c0d-0000-4000-8000-000000000000"
    arguments = ("aws", "showdown", token_id, "--expires", "2099-01-01T00:00:00Z")
    done = invoke(context(stack.parent, ERROR), ta_revoke_token, *arguments)
    assert isinstance(done.exception, Updated), done.output


@pytest.mark.parametrize(
    ("endpoints", "is_asked"),
    [({}, True), ({"iam": "https://192.0.2.1", "sts": "https://192.0.2.1"}, False)],
)
def test_a_stand_in_for_aws_is_not_asked_what_only_aws_has(
    tmp_path: Path, endpoints: dict[str, str], is_asked: bool
) -> None:
    config = from_settings(settings(aws={"region": "us-west-2", "endpoints": endpoints}), "showdown")
    made = context(tmp_path, ERROR)
    if is_asked:
        with pytest.raises(UserError, match="there is no subnet-1"):
            made.require_preflight(made.provider("aws"), "showdown", config)
    else:
        made.require_preflight(made.provider("aws"), "showdown", config)


def test_the_preflight_counts_the_tenants_of_all_stacks(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subjects: list[Subject] = []

    def keep(subject: Subject, _: object) -> list[Finding]:
        subjects.append(subject)
        return []

    monkeypatch.setattr("scripts.checks.preflight.findings", keep)
    for tenant in ("a", "b"):
        stack.with_name(f"Pulumi.showdown.{tenant}.yaml").touch()
    made, config = Context(stack.parent), StackFile("showdown", stack.parent).config()
    made.preflight(Provider({}), "showdown", config, live=False, added=["b", "c"])
    assert subjects[0].own_stacks == 3 and subjects[0].certificates == len(config.tenants) + 3 + 2
