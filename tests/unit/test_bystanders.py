"""No verb deletes the data of a tenant that nobody speaks of, because it was taken out of the file by hand."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner

from components.errors import UserError
from components.keys import key_id
from scripts import apply, tenant_move
from scripts.applied import BUCKET_TYPE, TENANT_TYPE
from scripts.keyfiles import write_key_pair
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


class Engine:
    """One that has `states`, and must not be told to change anything."""

    states: dict[str, list[dict[str, Any]]]

    def __init__(self, environment: Any, instance: str) -> None:
        self.instance = instance

    def state(self) -> list[dict[str, Any]]:
        return self.states.get(self.instance, [])

    def settle(self, aws: Any, cluster: Any) -> None:
        """What an update left that was killed is none of these tests' business."""


@pytest.fixture
def stack_settings() -> dict[str, Any]:
    return settings(tenants=[{"name": "default"}, {"name": "team"}])


@pytest.fixture
def applied(stack: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of an instance in which `ops` is not any more that was applied with it."""

    def target(instance: str, config: Any, provider: str, name: str | None = None) -> Any:
        engine, where = Engine({}, name or instance), SimpleNamespace(environment={})
        return SimpleNamespace(engine=engine, where=where, aws={}, cluster=None)

    monkeypatch.setattr(Engine, "states", {"showdown": _state(*NAMES)}, raising=False)
    for module in (apply, tenant_move):
        monkeypatch.setattr(module, "target", target)
    monkeypatch.setattr(tenant_move, "Engine", Engine)
    monkeypatch.setattr("scripts.tenant_removal.target", target)
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
    ("states", "to", "said"),
    [
        ({}, "own-stack", "team is not applied yet"),
        (
            {"showdown": _state("team"), "showdown.team": _state("team")[:1]},
            "own-stack",
            "there are two tenants team: showdown has it with bucket-team and showdown.team has it with no bucket",
        ),
    ],
)
def test_a_move_of_what_is_not_one_tenant_changes_nothing(
    applied: Path, monkeypatch: pytest.MonkeyPatch, states: dict[str, Any], to: str, said: str
) -> None:
    monkeypatch.setattr(Engine, "states", states)
    before = applied.read_text()
    done = CliRunner().invoke(move, ["local", "showdown", "team", "--to", to])
    assert isinstance(done.exception, UserError) and said in f"{done.exception}"
    assert applied.read_text() == before and [*applied.parent.glob("Pulumi.*")] == [applied]
