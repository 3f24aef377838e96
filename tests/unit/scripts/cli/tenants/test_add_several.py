"""`tenants add` with several tenants in stacks of their own."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from components.core.errors import UserError
from scripts.cli.tenants.edit import add
from scripts.stackfile.file import StackFile
from tests.support.contexts import FakeContext, invoke
from tests.support.fake_backend import FakeBackend

STACKS = ["showdown.a", "showdown.b", "showdown.c"]
SETTING = "retention.metrics=30d"


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend("showdown", "default")


@pytest.fixture
def context(stack: Path, backend: FakeBackend) -> FakeContext:
    return FakeContext(stack.parent, backend.engine)


def call(context: FakeContext, *arguments: str) -> Result:
    return invoke(context, add, "aws", "showdown", *arguments, "--own-stack")


def files(stack: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in stack.parent.iterdir()}


def test_each_tenant_gets_a_stack_with_the_settings(stack: Path, context: FakeContext, backend: FakeBackend) -> None:
    done = call(context, "a", "b", "c", SETTING, "--json")
    assert done.exit_code == 0, done
    assert sorted(backend.of("up")) == STACKS and backend.providers == dict.fromkeys(STACKS)
    for tenant in "abc":
        own = StackFile(f"showdown.{tenant}", stack.parent).tenant_stack()
        assert (own.instance, own.tenant, own.settings.retention.metrics) == ("showdown", tenant, "30d")
    shown = json.loads(done.stdout)
    assert (shown["tenants"], shown["applied"], shown["complete"]) == (["a", "b", "c"], True, True)
    assert [*shown["files"]] == [f"Pulumi.{name}.yaml" for name in STACKS] and shown["tokens"] == {
        name: [] for name in "abc"
    }
    assert "3 tenants to add (a, b, c)" in done.stderr and "ta-create-token showdown TENANT" in done.stderr


def test_the_same_command_completes_what_failed(stack: Path, context: FakeContext, backend: FakeBackend) -> None:
    backend.failing = {STACKS[1]}
    failed = call(context, "a", "b", "c", SETTING)
    assert isinstance(failed.exception, UserError) and f"not complete: {STACKS[1]}." in str(failed.exception)
    assert f"./opstrace tenants add aws showdown a b c {SETTING} --own-stack" in str(failed.exception)
    written = files(stack)
    backend.failing, backend.calls = set(), []
    again = call(context, "a", "b", "c", SETTING)
    assert again.exit_code == 0 and backend.of("up") == [STACKS[1]], again
    assert f"{STACKS[1]}: it resumes" in again.stderr and files(stack) == written
    third = call(context, "a", "b", "c", SETTING)
    assert isinstance(third.exception, UserError) and "a, b, c: exist already" in str(third.exception)


def test_more_tenants_come_beside_those_that_are_complete(context: FakeContext, backend: FakeBackend) -> None:
    assert call(context, "a", "b").exit_code == 0
    assert call(context, "a", "b", "c").exit_code == 0
    assert sorted(backend.of("up")) == STACKS


def test_a_stack_whose_file_is_gone_is_applied_to_its_new_file(
    stack: Path, context: FakeContext, backend: FakeBackend
) -> None:
    assert call(context, "a", "b").exit_code == 0
    stack.with_name("Pulumi.showdown.a.yaml").unlink()
    backend.calls = []
    assert call(context, "a", "b", SETTING).exit_code != 0  # b exists with other settings
    assert call(context, "a", "c", SETTING).exit_code == 0
    assert sorted(backend.of("up")) == ["showdown.a", "showdown.c"]
    assert StackFile("showdown.a", stack.parent).tenant_stack().settings.retention.metrics == "30d"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a", "b", "a"), "more than once: a"),
        (("a", "B-1", "system"), "tenant name 'B-1'"),
        (("a", "default"), "default: in the stack of showdown already"),
        (("a", "b", "nonsense=1"), "there is no such setting"),
        (("a", "b", "retention.metrics=7x"), "retention.metrics"),
        (("old", "b", "owner=x"), "old: exist already with other settings"),
    ],
)
def test_bad_input_changes_nothing(
    stack: Path, context: FakeContext, backend: FakeBackend, arguments: tuple[str, ...], message: str
) -> None:
    assert invoke(context, add, "aws", "showdown", "old", "--own-stack", "--no-apply").exit_code == 0
    before = files(stack)
    refused = call(context, *arguments)
    assert isinstance(refused.exception, UserError) and message in str(refused.exception)
    assert files(stack) == before and backend.calls == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a", "b"), "need --own-stack"),
        (("a", "--parallel", "2"), "need --own-stack"),
        (("a", "owner=x", "b", "--own-stack"), "b: names of tenants come before settings"),
        (("owner=x", "--own-stack"), "Missing argument 'TENANT'"),
    ],
)
def test_wrong_usage_is_told(context: FakeContext, arguments: tuple[str, ...], message: str) -> None:
    refused = invoke(context, add, "aws", "showdown", *arguments)
    assert refused.exit_code == 2 and message in " ".join(refused.stderr.split())


def test_no_apply_only_writes_the_files(stack: Path, context: FakeContext, backend: FakeBackend) -> None:
    done = call(context, "a", "b", "--no-apply", "--json")
    assert done.exit_code == 0 and backend.calls == [] and not json.loads(done.stdout)["applied"]
    assert {"Pulumi.showdown.a.yaml", "Pulumi.showdown.b.yaml"} <= files(stack).keys()


def test_the_preflight_runs_once_before_any_file_is_written(stack: Path, backend: FakeBackend) -> None:
    class Refusing(FakeContext):
        preflights = 0

        def require_preflight(self, *arguments: Any, **options: Any) -> None:
            self.preflights += 1
            raise UserError("the preflight found: a quota")

    context, before = Refusing(stack.parent, backend.engine), files(stack)
    refused = call(context, "a", "b", "c")
    assert "a quota" in str(refused.exception) and context.preflights == 1
    assert files(stack) == before and backend.of("up") == []
