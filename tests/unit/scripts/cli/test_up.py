"""`up`: which stacks are updated, in which order, and what is refused before anything changes."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from components.core.errors import ConfigError, UserError
from components.core.names import SYSTEM
from scripts.cli.up import up
from scripts.stackfile.file import StackFile
from tests.support.contexts import FakeContext, invoke
from tests.support.fake_backend import FakeBackend

TENANTS = ("a", "b", "c")
STACKS = [f"showdown.{tenant}" for tenant in TENANTS]


@pytest.fixture
def backend() -> FakeBackend:
    backend = FakeBackend("showdown", "default")
    for tenant in TENANTS[:2]:
        backend.record(f"showdown.{tenant}", tenant)
    return backend


class Counting(FakeContext):
    """Counts the preflights."""

    preflights = 0

    def require_preflight(self, *arguments: Any, **options: Any) -> None:
        self.preflights += 1


@pytest.fixture
def context(stack: Path, backend: FakeBackend) -> Counting:
    for tenant in TENANTS:
        file = StackFile(f"showdown.{tenant}", stack.parent)
        file.set("tenantOf", "showdown")
        file.set("tenant", {})
        file.write()
    return Counting(stack.parent, backend.engine)


def call(context: FakeContext, *options: str) -> Result:
    return invoke(context, up, "aws", "showdown", *options)


def test_the_instance_comes_first_and_each_tenant_after_it(context: Counting, backend: FakeBackend) -> None:
    done = call(context, "--json")
    assert done.exit_code == 0, done
    first, *others = backend.of("up")
    assert (first, sorted(others)) == ("showdown", STACKS)
    assert backend.providers == {STACKS[2]: None}  # only that one did not exist
    assert context.preflights == 1 and backend.of("programs") == ["showdown"]
    shown = json.loads(done.stdout)
    assert (shown["instance"], shown["preview"], shown["complete"]) == ("showdown", False, True)
    assert [entry["stack"] for entry in shown["stacks"]] == ["showdown", *STACKS]
    assert "1 tenant to add (c)" in done.stderr


def test_a_new_stack_has_the_secrets_provider_of_its_instance(
    stack: Path, context: Counting, backend: FakeBackend
) -> None:
    stack.write_text(f"{stack.read_text()}secretsprovider: awskms://alias/state?region=us-west-2\n")
    assert call(context).exit_code == 0
    assert backend.providers == {STACKS[2]: "awskms://alias/state?region=us-west-2"}


def test_a_tenant_that_fails_leaves_the_others_alone_and_the_next_run_completes(
    context: Counting, backend: FakeBackend
) -> None:
    backend.failing = {STACKS[1]}
    done = call(context, "--json")
    assert isinstance(done.exception, UserError), done
    assert f"not complete: {STACKS[1]}" in str(done.exception) and "./opstrace up aws showdown" in str(done.exception)
    outcomes = {entry["stack"]: (entry["outcome"], entry["error"]) for entry in json.loads(done.stdout)["stacks"]}
    assert outcomes[STACKS[1]] == ("failed", "`pulumi up` failed") and len(backend.of("up")) == 4
    assert {outcome for outcome, _ in outcomes.values()} == {"failed", "unchanged"}
    backend.failing = set()
    assert call(context).exit_code == 0


def test_without_its_instance_no_tenant_is_updated(context: Counting, backend: FakeBackend) -> None:
    backend.failing = {"showdown"}
    done = call(context, "--json")
    assert isinstance(done.exception, UserError) and backend.of("up") == ["showdown"]
    assert [entry["outcome"] for entry in json.loads(done.stdout)["stacks"]] == ["failed", *["not started"] * 3]


def test_a_preview_changes_nothing(context: Counting, backend: FakeBackend) -> None:
    done = call(context, "--preview", "--json")
    assert done.exit_code == 0, done
    assert sorted(backend.of("preview")) == ["showdown", *STACKS[:2]] and backend.of("up") == []
    outcomes = [entry["outcome"] for entry in json.loads(done.stdout)["stacks"]]
    assert outcomes == ["unchanged"] * 3 + ["new"] and json.loads(done.stdout)["preview"]
    assert [*backend.states] == ["showdown", *STACKS[:2]] and context.preflights == 0


def test_every_invalid_file_is_told_before_anything_changes(
    stack: Path, context: Counting, backend: FakeBackend
) -> None:
    for tenant in ("a", "c"):
        path = stack.with_name(f"Pulumi.showdown.{tenant}.yaml")
        path.write_text(path.read_text().replace("{}", f"{{wrong{tenant}: 1}}"))
    done = call(context)
    assert isinstance(done.exception, ConfigError) and backend.calls == []
    assert all(f"opstrace:tenant.wrong{tenant}: there is no such setting" in str(done.exception) for tenant in "ac")


def test_a_tenant_that_would_exist_twice_is_refused(stack: Path, context: Counting, backend: FakeBackend) -> None:
    file = StackFile("showdown", stack.parent)
    file.entry("tenants").append({"name": "a"})
    file.write()
    done = call(context)
    assert isinstance(done.exception, UserError) and "a is in Pulumi.showdown.yaml" in str(done.exception)
    assert "tenants move" in str(done.exception) and backend.calls == []


def test_an_instance_without_a_stack_is_not_created(context: Counting, backend: FakeBackend) -> None:
    del backend.states["showdown"]
    done = call(context)
    assert isinstance(done.exception, UserError) and "there is no instance showdown" in str(done.exception)
    assert backend.calls == []


def test_an_update_that_deletes_data_unasked_is_refused(context: Counting, backend: FakeBackend) -> None:
    backend.record("showdown", SYSTEM, "default", "gone")
    backend.give_data("showdown", "gone")
    done = call(context)
    assert isinstance(done.exception, UserError) and "also delete gone with all data" in str(done.exception)
    assert backend.of("up") == []


def test_a_tenant_s_own_refusal_leaves_the_others_alone(context: Counting, backend: FakeBackend) -> None:
    backend.record(STACKS[0], "a", "gone")
    backend.give_data(STACKS[0], "gone")
    done = call(context, "--json")
    assert isinstance(done.exception, UserError) and f"not complete: {STACKS[0]}." in str(done.exception)
    assert sorted(backend.of("up")) == ["showdown", *STACKS[1:]]
    assert "also delete gone" in json.loads(done.stdout)["stacks"][1]["error"]


def test_a_stack_whose_file_is_gone_is_named_and_left_alone(
    stack: Path, context: Counting, backend: FakeBackend
) -> None:
    stack.with_name("Pulumi.showdown.b.yaml").unlink()
    done = call(context)
    assert done.exit_code == 0 and "no file in stacks/ for showdown.b" in done.stderr
    assert STACKS[1] not in backend.of("up")


def test_a_shorter_retention_is_confirmed_once_before_anything_changes(
    monkeypatch: pytest.MonkeyPatch, context: Counting, backend: FakeBackend
) -> None:
    shorter = {"metrics": ("30d", "7d")}
    monkeypatch.setattr("scripts.tenants.plan.shorter_retention", lambda *_: shorter)
    refused = call(context)
    assert refused.exit_code == 1 and "Delete the older data?" in refused.stderr and backend.of("up") == []
    assert "a: its metrics will be kept for 7d instead of 30d" in refused.stderr
    assert call(context, "--yes").exit_code == 0 and len(backend.of("up")) == 4


@pytest.mark.parametrize("number", ["0", "65", "many"])
def test_parallel_is_a_number_of_stacks(context: Counting, backend: FakeBackend, number: str) -> None:
    assert call(context, "--parallel", number).exit_code == 2 and backend.calls == []
