"""Verbs on an instance in whose state there is what they must not harm, or not without being told to."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner

from components.errors import UserError
from components.keys import key_id
from components.retention import RUNTIME_KEY
from scripts import apply, instances, placing, tenant_move, tenant_removal
from scripts.applied import BUCKET_TYPE, SETTINGS_TYPE, TENANT_TYPE, WORKLOAD_TYPE
from scripts.keyfiles import write_key_pair
from scripts.providers import Provider
from scripts.pubkeys import ta_pubkeys_add, ta_pubkeys_remove
from scripts.revocation import ta_revoke_token
from scripts.rotation import ta_rotate_key
from scripts.tenant_edits import add, set_
from scripts.tenant_move import move
from scripts.tenant_removal import remove
from tests.unit.given import KEY, settings

KID = key_id(KEY)
NAMES = ("default", "ops", "team")


def _state(*tenants: str) -> list[dict[str, Any]]:
    """Return the state of a stack whose tenants were applied with `onDelete: purge`."""
    found: list[dict[str, Any]] = []
    for name in tenants:
        urn = f"urn::tenant-{name}"
        found += [
            {"urn": urn, "type": TENANT_TYPE, "outputs": {"settings": {}}},
            {"urn": f"{urn}-logs-bucket", "type": BUCKET_TYPE, "parent": urn, "id": f"bucket-{name}"},
        ]
    return found


def _program(tenant: str, program: str, **retention: str) -> list[dict[str, Any]]:
    """Return what the state of a stack has of a tenant's program, with one pod and the retention that is in force."""
    claim = {"spec": {"resources": {"requests": {"storage": "10Gi"}}}}
    runtime = json.dumps({"overrides": {tenant: retention}})
    urn = f"urn::tenant-{tenant}-{program}"
    return [
        {"urn": f"{urn}-config", "type": SETTINGS_TYPE, "inputs": {"data": {RUNTIME_KEY: runtime}}},
        {
            "urn": f"{urn}-stateful-set",
            "type": WORKLOAD_TYPE,
            "inputs": {"spec": {"replicas": 1, "volumeClaimTemplates": [claim]}},
        },
    ]


class Stuck:
    """A cluster in which no pod is ready."""

    def get(self, *_: str) -> dict[str, Any]:
        return {"metadata": {}, "spec": {"replicas": 1}, "status": {}}


class Applied(Exception):
    """That the engine was told to change something."""


class Engine:
    """One that has `states`; what would change anything raises."""

    states: dict[str, list[dict[str, Any]]]

    def __init__(self, environment: Any, instance: str) -> None:
        self.instance = instance

    def state(self) -> list[dict[str, Any]]:
        return self.states.get(self.instance, [])

    def settle(self, aws: Any, cluster: Any) -> None:
        """What an update left that was killed is none of these tests' business."""

    def up(self, *_: Any) -> None:
        raise Applied(self.instance)

    destroy = up

    def stacks(self) -> list[str]:
        return [*self.states]

    def resources(self) -> list[dict[str, Any]]:
        return self.state()


@pytest.fixture
def stack_settings() -> dict[str, Any]:
    return settings(tenants=[{"name": "default"}, {"name": "team"}])


@pytest.fixture
def applied(stack: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of an instance in which `ops` is not any more that was applied with it."""

    def target(instance: str, config: Any, provider: str, name: str | None = None) -> Any:
        engine, where = Engine({}, name or instance), SimpleNamespace(environment={})
        return SimpleNamespace(engine=engine, where=where, aws={}, cluster=Stuck())

    monkeypatch.setattr(Engine, "states", {"showdown": _state(*NAMES)}, raising=False)
    for module in (apply, instances, tenant_move, tenant_removal):
        monkeypatch.setattr(module, "target", target)
    for module in (instances, tenant_move):
        monkeypatch.setattr(module, "Engine", Engine)
    monkeypatch.setattr(instances, "provider", lambda name: Provider({}, {}))
    monkeypatch.setattr(placing, "STACKS", stack.parent)
    monkeypatch.setattr("scripts.stores.contents", lambda *arguments: None)
    monkeypatch.chdir(stack.parent)
    return stack


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        (ta_pubkeys_add, ("pair.pem",)),
        (ta_pubkeys_remove, (KID, "--force")),
        (ta_revoke_token, ("0f8fad5b-d9cb-469f-a165-70867728950e", "--expires", "30d")),
        (ta_rotate_key, (KID, "pair.pem")),
        (add, ("new",)),
        (set_, ("default", "owner=a")),
        (remove, ("team", "--yes")),
        (move, ("team", "--to", "own-stack")),
    ],
    ids=lambda given: given.name if isinstance(given, click.Command) else "",
)
def test_a_verb_refuses_to_delete_what_somebody_took_out_by_hand(
    applied: Path, verb: click.Command, arguments: tuple[str, ...]
) -> None:
    write_key_pair(applied.parent / "pair.pem")
    before = applied.read_text()
    done = CliRunner().invoke(verb, ["local", "showdown", *arguments])
    assert isinstance(done.exception, UserError), done.output
    assert "this would also delete ops with all data" in f"{done.exception}"
    assert applied.read_text() == before and [*applied.parent.glob("Pulumi.*")] == [applied]


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ({}, "team is not applied yet"),
        (
            {"showdown": _state("team"), "showdown.team": _state("team")[:1]},
            "there are two tenants team: showdown has it with bucket-team and showdown.team has it with no bucket",
        ),
    ],
)
def test_a_move_of_what_is_not_one_tenant_changes_nothing(
    applied: Path, monkeypatch: pytest.MonkeyPatch, states: dict[str, Any], said: str
) -> None:
    monkeypatch.setattr(Engine, "states", states)
    before = applied.read_text()
    done = CliRunner().invoke(move, ["local", "showdown", "team", "--to", "own-stack"])
    assert isinstance(done.exception, UserError) and said in f"{done.exception}"
    assert applied.read_text() == before and [*applied.parent.glob("Pulumi.*")] == [applied]


def test_a_shorter_retention_deletes_when_that_is_confirmed(applied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = _program("default", "cortex", compactor_blocks_retention_period="720h")
    monkeypatch.setattr(Engine, "states", {"showdown": [*_state("default", "team"), *kept]})
    before = applied.read_text()
    shorter = ["local", "showdown", "default", "retention.metrics=5d"]
    done = CliRunner().invoke(set_, shorter, input="n\n")
    assert "metrics will be kept for 5d instead of 30d" in done.stderr and "Delete what is older?" in done.stderr
    assert done.exit_code == 1 and applied.read_text() == before
    for options, typed in ((["--yes"], ""), ([], "y\n")):
        applied.write_text(before)
        assert isinstance(CliRunner().invoke(set_, [*shorter, *options], input=typed).exception, Applied)
    assert "metrics: 5d" in applied.read_text()


def test_what_pods_hold_that_do_not_run_is_lost_when_that_is_forced(
    applied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = applied.read_text()
    states = {"showdown": [*_state("default", "team"), *_program("default", "loki")]}
    for entry in states["showdown"]:
        if entry["type"] == BUCKET_TYPE:
            entry["retainOnDelete"] = True
    monkeypatch.setattr(Engine, "states", states)
    for verb, arguments in ((set_, ("default", "size.logs.volume=20Gi")), (instances.destroy, ("--yes",))):
        done = CliRunner().invoke(verb, ["local", "showdown", *arguments])
        said = f"{done.exception}"
        assert "default is not ready" in said and "loki 0 of 1 ready" in said and "--force" in said
        assert applied.read_text() == before
        done = CliRunner().invoke(verb, ["local", "showdown", *arguments, "--force"])
        assert isinstance(done.exception, Applied), done.exception
        applied.write_text(before)


def test_a_move_that_is_killed_lets_no_update_delete_the_tenant_or_make_it_again(
    applied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_of_own = "config:\n  opstrace:tenantOf: showdown\n  opstrace:tenant: {owner: a}\n"
    own = applied.parent / "Pulumi.showdown.new.yaml"
    own.write_text(settings_of_own)
    monkeypatch.setattr(Engine, "states", {"showdown": _state("default", "team"), "showdown.new": _state("new")})

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tenant_move, "_move_state", killed)
    done = CliRunner().invoke(move, ["local", "showdown", "new", "--to", "instance"])
    assert done.exit_code == 1 and "Aborted!" in done.output, done.output
    assert "name: new" in applied.read_text() and own.exists()
    done = CliRunner().invoke(set_, ["local", "showdown", "default", "owner=a"])
    assert isinstance(done.exception, UserError) and "a move was interrupted" in f"{done.exception}"
    monkeypatch.setattr(tenant_move, "_move_state", lambda *_: None)
    monkeypatch.setattr(Engine, "exists", lambda self: False, raising=False)
    done = CliRunner().invoke(move, ["local", "showdown", "new", "--to", "instance"])
    assert isinstance(done.exception, Applied)  # it goes on
