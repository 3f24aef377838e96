"""The tokens of a removed tenant, and of a new tenant with a name that was used before."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import click
import pytest
from click.testing import Result
from moto import mock_aws

from components.core.errors import ConfigError, UserError
from components.core.public_keys import key_id
from components.core.resource_names import BUCKET_TYPE, STATEFUL_SET_TYPE, TENANT_TYPE
from components.core.timestamps import format_rfc3339
from scripts.cli.tenants import data
from scripts.cli.tenants.edit import add
from scripts.cli.tenants.remove import remove
from scripts.stackfile.file import StackFile
from scripts.tokens.issued import issued, path
from scripts.tokens.key_files import new_key
from scripts.tokens.of_tenant import live_tokens
from scripts.tokens.signing import Grant, Signer
from tests.support.contexts import FakeContext, invoke
from tests.support.factories import KEY, PAIR, settings
from tests.support.s3_stores import make_store, record_retention

SIGNER = Signer(PAIR)
YEAR = 365 * 24 * 3600
WITHOUT = ("--no-apply",)


@pytest.fixture
def stack_settings() -> dict[str, Any]:
    return settings(tenants=[{"name": "default"}, {"name": "ops"}])


def issue(tenant: str = "ops", instance: str = "showdown", name: str | None = None, **more: Any) -> Grant:
    grant = Grant(instance=instance, tenant=tenant, name=name, **more)
    issued(more.pop("signer", SIGNER), [grant])
    return grant


def call(context: FakeContext, verb: click.Command, *arguments: str, typed: str | None = None) -> Result:
    return invoke(context, verb, "local", "showdown", *arguments, typed=typed)


def as_it_is(stack: Path) -> tuple[list[str], list[str]]:
    """Return the tenants and the ids of revoked tokens of the stack file."""
    config = StackFile("showdown", stack.parent).config()
    return [tenant.name for tenant in config.tenants], [*config.data_api.revoked_tokens]


def test_listed_are_the_tokens_that_still_open_the_tenant(stack: Path) -> None:
    later, sooner = issue(name="CI"), issue(seconds=60)
    issue(seconds=10, issued=1)  # has ended
    issue("default"), issue(instance="other")
    issued(Signer(new_key()), [Grant(instance="showdown", tenant="ops")])  # of a key that is no longer trusted
    revoked = issue()
    file = StackFile("showdown", stack.parent)
    file.set_revoked_tokens({revoked.id: format_rfc3339(revoked.expires)})
    with path().open("a") as ledger:
        entry = {"tenant": "ops", "instance": "showdown", "key": key_id(KEY)}
        ledger.writelines(json.dumps(entry | odd) + "\n" for odd in ({"id": sooner.id, "expires": "x"}, {"id": "a b"}))
    tokens = live_tokens("local", "showdown", "ops", file.config())
    assert [(token.id, token.expires, token.name) for token in tokens.live] == [
        (sooner.id, sooner.expires, None),
        (later.id, later.expires, "CI"),
    ]


def test_lines_of_the_ledger_that_cannot_be_read_are_counted(
    stack: Path, context: FakeContext, capsys: pytest.CaptureFixture[str]
) -> None:
    grant = issue()
    lines = path().read_text()
    path().write_text(f"{lines}{lines.replace(format_rfc3339(grant.expires), 'tomorrow')}half a li\n")
    done = call(context, remove, "ops", "--keep-tokens", *WITHOUT)
    assert done.exit_code == 0 and f"skipped lines of {path()} that are no entries" in done.stderr
    assert "a command was killed: 2" in done.stderr and "1 token of ops is valid" in done.stderr


def test_no_token_is_left_out_of_a_revocation_in_silence(stack: Path, context: FakeContext) -> None:
    issue()
    with path().open("a") as ledger:
        ledger.write("half a li\n")
    before = stack.read_text()
    for options in (("--revoke-tokens",), ("--revoke-tokens", "--yes")):
        done = call(context, remove, "ops", *options, *WITHOUT)
        assert isinstance(done.exception, UserError) and f"1 lines of {path()}" in str(done.exception)
        assert "--keep-tokens" in str(done.exception) and stack.read_text() == before
    assert call(context, remove, "ops", "--keep-tokens", *WITHOUT).exit_code == 0


@pytest.mark.parametrize("options", [("--yes",), ("--revoke-tokens",), ("--revoke-tokens", "--yes")])
def test_that_no_token_is_known_does_not_say_that_there_is_none(
    stack: Path, context: FakeContext, options: tuple[str, ...]
) -> None:
    issue("default")
    done = call(context, remove, "ops", *options, *WITHOUT)
    notice = "No live token of ops is known on this machine; tokens made elsewhere stay valid."
    assert done.exit_code == 0 and notice in done.stderr


@pytest.mark.parametrize(
    ("options", "typed", "revokes"),
    [
        (("--revoke-tokens",), None, True),
        (("--revoke-tokens", "--yes"), None, True),
        (("--keep-tokens",), None, False),
        (("--yes",), None, False),
        ((), "y\n", True),
        ((), "n\n", False),
    ],
)
def test_a_removal_revokes_its_tokens_or_keeps_them_as_it_is_told(
    stack: Path, context: FakeContext, options: tuple[str, ...], typed: str | None, revokes: bool
) -> None:
    before, kept = issue(name="CI of the shop"), issue("default")
    done = call(context, remove, "ops", "--json", *options, *WITHOUT, typed=typed)
    assert done.exit_code == 0, done.output
    assert (
        f"{before.id}  until {format_rfc3339(before.expires)}  CI of the shop" in done.stderr
        and kept.id not in done.stderr
    )
    assert as_it_is(stack) == (["default"], [before.id] if revokes else [])
    listed = json.loads(done.stdout)["tokens"]
    entry = {"id": before.id, "expires": format_rfc3339(before.expires), "name": "CI of the shop", "revoked": revokes}
    assert listed == [entry]
    assert ("Revoke with this removal?" in done.stderr) == (typed is not None)
    assert ("Warning: 1 token of ops stays valid" in done.stderr) != revokes
    assert (f"./opstrace ta-revoke-token local showdown {before.id}" in done.stderr) != revokes
    assert SIGNER.token(before).split(".")[2] not in done.output


def test_nobody_who_answers_is_no_answer(stack: Path, context: FakeContext) -> None:
    issue()
    before = stack.read_text()
    done = call(context, remove, "ops", *WITHOUT, typed="")
    assert done.exit_code == 1 and stack.read_text() == before


def test_where_there_is_no_token_nothing_is_asked(stack: Path, context: FakeContext) -> None:
    issue("default")
    done = call(context, remove, "ops", "--json", *WITHOUT)
    assert done.exit_code == 0 and json.loads(done.stdout)["tokens"] == [] and "token" not in done.stderr


def test_a_list_that_is_full_is_told_before_anything_is_changed(
    stack: Path, context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.config.data_api.REVOKED_BYTES", 100)
    for _ in range(3):
        issue()
    before = stack.read_text()
    done = call(context, remove, "ops", "--revoke-tokens", *WITHOUT)
    assert isinstance(done.exception, ConfigError) and "3 ids are" in str(done.exception)
    assert stack.read_text() == before


def test_a_long_list_of_revoked_tokens_stays_in_its_file(stack: Path, context: FakeContext) -> None:
    file = StackFile("showdown", stack.parent)
    file.set_revoked_tokens({f"earlier-{number}": "2099-01-01T00:00:00Z" for number in range(300)})
    file.write()
    grant = issue()
    assert call(context, remove, "ops", "--revoke-tokens", *WITHOUT).exit_code == 0
    tenants, revoked = as_it_is(stack)
    assert tenants == ["default"] and len(revoked) == 301 and grant.id in revoked


class Killed(KeyboardInterrupt):
    """The command ends at this point."""


class Engine:
    """An engine whose state is `resources`, and which records the file at each update."""

    instance = "showdown"

    def __init__(self, file: Path, resources: list[dict[str, Any]]) -> None:
        self._file, self.resources = file, resources
        self.updates: list[tuple[list[str], list[str]]] = []
        self.killed_at = 0  # the number of the update in which the command is killed
        self.context = FakeContext(file.parent, lambda stack: self)

    def state(self) -> list[dict[str, Any]]:
        return self.resources

    def exists(self) -> bool:
        return True

    def up(self, *_: Any) -> None:
        content = as_it_is(self._file)
        self.updates.append(content)
        if len(self.updates) == self.killed_at:
            raise Killed
        for entry in self.resources:
            entry["retainOnDelete"] = "onDelete: purge" not in self._file.read_text()
        if "ops" not in content[0]:
            self.resources.clear()

    def destroy(self, *_: Any) -> None:
        self.resources.clear()


@pytest.fixture
def applied(stack: Path) -> Engine:
    """The engine of an instance whose tenant `ops` is applied, with `onDelete: retain`."""
    tenant = {"urn": "urn::tenant-ops", "type": TENANT_TYPE, "outputs": {"settings": {}}}
    kinds = ("metrics", "logs", "config")
    buckets = [
        {"urn": f"urn::tenant-ops-{kind}-bucket", "type": BUCKET_TYPE, "parent": tenant["urn"], "id": kind}
        | {"retainOnDelete": True}
        for kind in kinds
    ]
    claim = {"spec": {"resources": {"requests": {"storage": "10Gi"}}}}
    pods = {"inputs": {"spec": {"replicas": 1, "volumeClaimTemplates": [claim]}}, "type": STATEFUL_SET_TYPE}
    workload = {"urn": "urn::tenant-ops-cortex-stateful-set", **pods}
    return Engine(stack, [tenant, workload, *buckets])


def test_tokens_are_revoked_by_the_update_that_deletes_their_tenant(applied: Engine, stack: Path) -> None:
    grant = issue()
    done = call(applied.context, remove, "ops", "--revoke-tokens", "--purge", "--yes", "--json")
    assert done.exit_code == 0, done.output
    # The first update records what happens to the data. The tenant and its clients still exist.
    assert applied.updates == [(["default", "ops"], []), (["default"], [grant.id])]
    assert json.loads(done.stdout)["tokens"][0]["revoked"] and "1 token of ops is revoked." in done.stderr


@pytest.mark.parametrize("killed_at", [1, 2])
def test_what_was_to_be_revoked_is_revoked_by_a_removal_that_goes_on(
    applied: Engine, stack: Path, killed_at: int
) -> None:
    grant, command = issue(), ("ops", "--revoke-tokens", "--purge", "--yes")
    applied.killed_at = killed_at
    assert call(applied.context, remove, *command).exit_code == 1
    assert len(applied.updates) == killed_at
    done = call(applied.context, remove, *command)
    assert done.exit_code == 0, done.output
    assert applied.updates[-1] == as_it_is(stack) == (["default"], [grant.id])


def test_a_removal_that_goes_on_does_not_ask_again_of_what_is_revoked(applied: Engine, stack: Path) -> None:
    grant = issue()
    applied.killed_at = 1
    assert call(applied.context, remove, "ops", typed="y\n").exit_code == 1
    done = call(applied.context, remove, "ops")
    assert done.exit_code == 0 and "Revoke with this removal?" not in done.stderr, done.output
    assert applied.updates == [(["default"], [grant.id])] * 2


def test_the_tokens_of_a_tenant_that_was_taken_out_by_hand_can_be_revoked_with_the_rest(
    applied: Engine, stack: Path
) -> None:
    grant = issue()
    stack.write_text(stack.read_text().replace("    - name: ops\n", ""))
    assert call(applied.context, remove, "ops", "--revoke-tokens").exit_code == 0
    assert applied.updates == [(["default"], [grant.id])]


def test_a_tenant_with_a_stack_of_its_own_names_the_command_for_the_instance_s_administrator(
    applied: Engine, stack: Path
) -> None:
    stack.write_text(stack.read_text().replace("    - name: ops\n", ""))
    own = stack.parent / "Pulumi.showdown.ops.yaml"
    own.write_text("config:\n  opstrace:tenantOf: showdown\n  opstrace:tenant: {}\n")
    before, grants = stack.read_text(), [issue(), issue(seconds=10 * YEAR)]
    command = f"./opstrace ta-revoke-token local showdown {grants[0].id} {grants[1].id}"
    command += f" --expires {format_rfc3339(grants[1].expires)}"
    refused = call(applied.context, remove, "ops", "--revoke-tokens", "--yes")
    assert isinstance(refused.exception, UserError) and command in f"{refused.exception}"
    assert own.exists() and applied.resources and applied.updates == []
    done = call(applied.context, remove, "ops", "--json")
    assert done.exit_code == 0, done.output
    assert "2 tokens of ops stay valid, and open any later tenant of this name. The administrator" in done.stderr
    assert command in done.stderr and not own.exists() and stack.read_text() == before
    assert [token["revoked"] for token in json.loads(done.stdout)["tokens"]] == [False, False]


@pytest.mark.parametrize("options", [(), ("--own-stack",)])
def test_a_tenant_that_is_added_says_which_tokens_its_name_has_already(
    stack: Path, context: FakeContext, options: tuple[str, ...]
) -> None:
    grant = issue("new", name="of the earlier one")
    done = call(context, add, "new", "--json", *options, *WITHOUT)
    assert done.exit_code == 0, done.output
    assert "Warning: 1 token of new was issued here before, and opens this one" in done.stderr
    assert f"./opstrace ta-revoke-token local showdown {grant.id}" in done.stderr
    entry = {"id": grant.id, "expires": format_rfc3339(grant.expires), "name": "of the earlier one", "revoked": False}
    assert json.loads(done.stdout)["tokens"] == [entry]


def test_a_name_that_is_new_is_no_matter_of_tokens(stack: Path, context: FakeContext) -> None:
    issue("default")
    done = call(context, add, "new", *WITHOUT)
    assert done.exit_code == 0 and "token" not in done.stderr


class Adopting:
    """An engine with an empty state, which accepts every import."""

    instance = "showdown"

    def __init__(self) -> None:
        self.imported: list[str] = []

    def state(self) -> list[dict[str, Any]]:
        return []

    resources = state

    def adopt(self, content: Mapping[str, Any]) -> None:
        self.imported += [entry["name"] for entry in content["resources"]]

    def up(self, *_: Any) -> None:
        """Do nothing: these tests look at imports only."""


def test_data_that_is_given_back_says_which_tokens_open_it(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    grant, engine = issue("gone"), Adopting()
    with mock_aws():
        aws = {"s3": boto3.client("s3", "us-east-1")}
        record_retention(aws, make_store(aws, "gone"), 7)
        done = call(FakeContext(stack.parent, lambda stack: engine, aws=aws), data.adopt, "gone", "--json")
    assert done.exit_code == 0, done.output
    assert "Warning: 1 token of gone was issued here before, and opens this one" in done.stderr
    assert [token["id"] for token in json.loads(done.stdout)["tokens"]] == [grant.id]
    assert "tenant-gone-logs-bucket" in engine.imported and "name: gone" in stack.read_text()
