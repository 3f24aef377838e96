"""Commands on an instance with other tenants, which they must not harm, or only on request."""

import json
from pathlib import Path
from typing import Any

import click
import pytest

from components.core.errors import UserError
from components.core.public_keys import key_id
from components.core.recorded_retention import RUNTIME_KEY
from components.core.resource_names import BUCKET_TYPE, CONFIG_MAP_TYPE, STATEFUL_SET_TYPE, TENANT_TYPE
from scripts.cli.instances import destroy
from scripts.cli.tenants.edit import add, set_
from scripts.cli.tenants.move import move
from scripts.cli.tenants.remove import remove
from scripts.cli.tokens.keys import ta_pubkeys_add, ta_pubkeys_remove
from scripts.cli.tokens.revoke import ta_revoke_token
from scripts.cli.tokens.rotate import ta_rotate_key
from scripts.tokens.key_files import write_key_pair
from tests.support.contexts import FakeContext, invoke
from tests.support.factories import KEY, settings

KID = key_id(KEY)
NAMES = ("default", "ops", "team")


def _state(*tenants: str) -> list[dict[str, Any]]:
    """Return the state of a stack whose tenants were applied with `onDelete: purge`."""
    resources: list[dict[str, Any]] = []
    for name in tenants:
        urn = f"urn::tenant-{name}"
        resources += [
            {"urn": urn, "type": TENANT_TYPE, "outputs": {"settings": {}}},
            {"urn": f"{urn}-logs-bucket", "type": BUCKET_TYPE, "parent": urn, "id": f"bucket-{name}"},
        ]
    return resources


def _program(tenant: str, program: str, **retention: str) -> list[dict[str, Any]]:
    """Return the resources of a tenant's program in the state of a stack, with one pod and the retention in force."""
    claim = {"spec": {"resources": {"requests": {"storage": "10Gi"}}}}
    runtime = json.dumps({"overrides": {tenant: retention}})
    urn = f"urn::tenant-{tenant}-{program}"
    return [
        {"urn": f"{urn}-config", "type": CONFIG_MAP_TYPE, "inputs": {"data": {RUNTIME_KEY: runtime}}},
        {
            "urn": f"{urn}-stateful-set",
            "type": STATEFUL_SET_TYPE,
            "inputs": {"spec": {"replicas": 1, "volumeClaimTemplates": [claim]}},
        },
    ]


class Stuck:
    """A cluster in which no pod is ready."""

    def get(self, *_: str) -> dict[str, Any]:
        return {"metadata": {}, "spec": {"replicas": 1}, "status": {}}


class AppliedError(Exception):
    """The engine got a call that changes something."""


States = dict[str, list[dict[str, Any]]]


class Engine:
    """An engine that has `states`; every call that changes something raises."""

    def __init__(self, states: States, instance: str) -> None:
        self._states, self.instance = states, instance

    def state(self) -> list[dict[str, Any]]:
        return self._states.get(self.instance, [])

    def settle(self, aws: Any, cluster: Any) -> None:
        """Do nothing: these tests have no killed update."""

    def up(self, *_: Any) -> None:
        raise AppliedError(self.instance)

    destroy = up

    def stacks(self) -> list[str]:
        return [*self._states]

    def resources(self) -> list[dict[str, Any]]:
        return self.state()

    def exists(self) -> bool:
        return self.instance in self._states

    def move(self, urn: str, to: "Engine") -> None:
        """Move the tenant as the engine does, to the other state."""
        self._states.setdefault(to.instance, []).extend(self._states.pop(self.instance))


class Killing(Engine):
    """An engine that is killed at the move of a tenant."""

    def move(self, urn: str, to: Engine) -> None:
        raise KeyboardInterrupt


@pytest.fixture
def stack_settings() -> dict[str, Any]:
    return settings(tenants=[{"name": "default"}, {"name": "team"}])


def in_states(stack: Path, states: States, engine: type[Engine] = Engine) -> FakeContext:
    """Return a context whose engine has these states, and in whose cluster no pod is ready."""
    return FakeContext(stack.parent, lambda name: engine(states, name), cluster=Stuck())


@pytest.fixture
def context(stack: Path) -> FakeContext:
    """The context of an instance that was applied with `ops`, but whose file no longer has it."""
    return in_states(stack, {"showdown": _state(*NAMES)})


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        (ta_pubkeys_add, ("pair.pem",)),
        (ta_pubkeys_remove, (KID, "--force")),
        (ta_revoke_token, ("0f8fad5b-d9cb-469f-a165-70867728950e", "--expires", "30d")),
        (ta_rotate_key, (KID, "pair.pem", "--existing")),
        (add, ("new",)),
        (set_, ("default", "owner=a")),
        (remove, ("team", "--yes")),
        (move, ("team", "--to", "own-stack")),
    ],
    ids=lambda value: value.name if isinstance(value, click.Command) else "",
)
def test_a_verb_refuses_to_delete_what_somebody_took_out_by_hand(
    stack: Path, context: FakeContext, monkeypatch: pytest.MonkeyPatch, verb: click.Command, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(stack.parent)
    write_key_pair(stack.parent / "pair.pem")
    before = stack.read_text()
    done = invoke(context, verb, "local", "showdown", *arguments)
    assert isinstance(done.exception, UserError), done.output
    assert "this would also delete ops with all data" in f"{done.exception}"
    assert stack.read_text() == before and [*stack.parent.glob("Pulumi.*")] == [stack]


@pytest.mark.parametrize(
    ("states", "reason"),
    [
        ({}, "team is not applied yet"),
        (
            {"showdown": _state("team"), "showdown.team": _state("team")[:1]},
            "there are two tenants team: showdown has it with bucket-team and showdown.team has it with no bucket",
        ),
    ],
)
def test_a_move_of_what_is_not_one_tenant_changes_nothing(stack: Path, states: States, reason: str) -> None:
    before = stack.read_text()
    done = invoke(in_states(stack, states), move, "local", "showdown", "team", "--to", "own-stack")
    assert isinstance(done.exception, UserError) and reason in f"{done.exception}"
    assert stack.read_text() == before and [*stack.parent.glob("Pulumi.*")] == [stack]


def test_a_shorter_retention_deletes_when_that_is_confirmed(stack: Path) -> None:
    kept = _program("default", "cortex", compactor_blocks_retention_period="720h")
    context = in_states(stack, {"showdown": [*_state("default", "team"), *kept]})
    before = stack.read_text()
    shorter = ["local", "showdown", "default", "retention.metrics=5d"]
    done = invoke(context, set_, *shorter, typed="n\n")
    assert "metrics will be kept for 5d instead of 30d" in done.stderr and "Delete the older data?" in done.stderr
    assert done.exit_code == 1 and stack.read_text() == before
    for options, typed in ((["--yes"], ""), ([], "y\n")):
        stack.write_text(before)
        assert isinstance(invoke(context, set_, *shorter, *options, typed=typed).exception, AppliedError)
    assert "metrics: 5d" in stack.read_text()


def test_what_pods_hold_that_do_not_run_is_lost_when_that_is_forced(stack: Path) -> None:
    before = stack.read_text()
    states = {"showdown": [*_state("default", "team"), *_program("default", "loki")]}
    for entry in states["showdown"]:
        if entry["type"] == BUCKET_TYPE:
            entry["retainOnDelete"] = True
    context = in_states(stack, states)
    for verb, arguments in ((set_, ("default", "size.logs.volume=20Gi")), (destroy, ("--yes",))):
        done = invoke(context, verb, "local", "showdown", *arguments)
        message = f"{done.exception}"
        assert "default is not ready" in message and "loki 0 of 1 ready" in message and "--force" in message
        assert stack.read_text() == before
        done = invoke(context, verb, "local", "showdown", *arguments, "--force")
        assert isinstance(done.exception, AppliedError), done.exception
        stack.write_text(before)


def test_a_move_that_is_killed_lets_no_update_delete_the_tenant_or_make_it_again(stack: Path) -> None:
    settings_of_own = "config:\n  opstrace:tenantOf: showdown\n  opstrace:tenant: {owner: a}\n"
    own = stack.parent / "Pulumi.showdown.new.yaml"
    own.write_text(settings_of_own)
    states = {"showdown": _state("default", "team"), "showdown.new": _state("new")}
    done = invoke(in_states(stack, states, Killing), move, "local", "showdown", "new", "--to", "instance")
    assert done.exit_code == 1 and "Aborted!" in done.output, done.output
    assert "name: new" in stack.read_text() and own.exists()
    done = invoke(in_states(stack, states), set_, "local", "showdown", "default", "owner=a")
    assert isinstance(done.exception, UserError) and "a move was interrupted" in f"{done.exception}"
    done = invoke(in_states(stack, states), move, "local", "showdown", "new", "--to", "instance")
    assert isinstance(done.exception, AppliedError)  # it goes on
    assert {entry["urn"] for entry in states["showdown"]} >= {"urn::tenant-new"} and "showdown.new" not in states
