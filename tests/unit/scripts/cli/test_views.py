"""The output of the commands that only read, in words and as JSON, for an instance over moto in this process."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import boto3
import click
import pytest
from click.testing import Result
from moto import mock_aws

from components.core.errors import UserError
from components.core.names import api_url
from components.core.resource_names import BUCKET_TYPE, TENANT_TYPE
from scripts.cli.instances import list_ as list_instances
from scripts.cli.instances import status
from scripts.cli.tenants import data, show
from scripts.cli.tenants.edit import add
from scripts.cli.tenants.move import move
from tests.support.contexts import EmptyCluster, FakeContext, invoke
from tests.support.expressions import foreign
from tests.support.factories import settings
from tests.support.s3_stores import ID, make_store


@pytest.fixture
def stack_settings() -> dict[str, Any]:
    return settings(tenants=[{"name": "default"}, {"name": "ops"}])


KEY_SERVICE = "awskms://alias/state?region=us-west-2"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        yield {"s3": boto3.client("s3", "us-east-1")}


class Engine:
    """The engine on one of `stacks`; an update records the stack."""

    def __init__(
        self,
        stacks: dict[str, list[dict[str, Any]]],
        instance: str,
        updates: list[str],
        providers: dict[str, str | None],
    ) -> None:
        self._stacks, self.instance, self._updates, self._providers = stacks, instance, updates, providers

    def stacks(self) -> list[str]:
        return [*self._stacks]

    def state(self) -> list[dict[str, Any]]:
        return self._stacks.get(self.instance, [])

    def settle(self, *_: Any) -> None:
        """Do nothing: no update was killed."""

    def ensure_stack(self, *, select: bool, secrets_provider: str | None) -> None:
        self._stacks.setdefault(self.instance, [])
        self._providers[self.instance] = secrets_provider

    def move(self, urn: str, to: "Engine") -> None:
        mine = [entry for entry in self.state() if urn in (entry["urn"], entry.get("parent"))]
        self._stacks[to.instance] += mine
        self._stacks[self.instance] = [entry for entry in self.state() if entry not in mine]

    def up(self, *_: Any) -> None:
        self._updates.append(self.instance)


class Pods(EmptyCluster):
    """A cluster in which every pod is ready, and no pod answers."""

    def get(self, version: str, kind: str, *_: Any) -> dict[str, Any]:
        if kind == "Namespace":
            return {"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}}
        return {"metadata": {}, "spec": {"replicas": 1}, "status": {"readyReplicas": 1}}

    def ask(self, *_: Any) -> str | None:
        return None


class Instance:
    """The instance `showdown`, in which `default` is applied, and the data of an earlier tenant `gone` is retained."""

    def __init__(self, stack: Path, aws: Any) -> None:
        self.buckets, self.updates = make_store(aws).buckets, list[str]()
        make_store(aws, "gone", "0b0b0c0d")
        aws["s3"].put_object(Bucket=self.buckets["logs"], Key="a", Body=b"x" * 1500)
        urn = "urn::tenant-default"
        self.states: dict[str, list[dict[str, Any]]] = {
            "showdown": [
                {"urn": urn, "type": TENANT_TYPE, "outputs": {"settings": {}}},
                *(
                    {"urn": f"{urn}-{kind}-bucket", "type": BUCKET_TYPE, "parent": urn, "id": name}
                    for kind, name in self.buckets.items()
                ),
            ]
        }
        self.secrets_providers: dict[str, str | None] = {}
        self.context = FakeContext(stack.parent, self._engine, aws=aws, cluster=Pods())

    def _engine(self, name: str) -> Engine:
        return Engine(self.states, name, self.updates, self.secrets_providers)

    def call(self, command: click.Command, *arguments: object) -> Result:
        done = invoke(self.context, command, "local", *arguments)
        assert done.exit_code == 0, done
        return done

    def read(self, command: click.Command, *arguments: object) -> Any:
        return json.loads(self.call(command, *arguments, "--json").stdout)


@pytest.fixture
def instance(stack: Path, aws: Any) -> Instance:
    return Instance(stack, aws)


def test_tenants_are_listed_with_state_contents_and_urls(instance: Instance) -> None:
    lines = instance.call(show.list_, "showdown").stdout.splitlines()
    assert lines[0].split() == ["NAME", "STATE", "AGE", "RETENTION", "STORED", "SERIES", "METRICS", "LOGS"]
    cells = {line.split()[0]: line.split("  ") for line in lines[1:]}
    assert {*cells} == {"default", "ops", "system"}
    assert "ready" in cells["default"] and "1.5 kB" in [cell.strip() for cell in cells["default"]]
    assert "not applied" in [cell.strip() for cell in cells["ops"]]
    listed = {entry["name"]: entry for entry in instance.read(show.list_, "showdown")}
    assert listed["default"]["storedBytes"] == 1500 and listed["default"]["buckets"] == instance.buckets
    assert listed["ops"]["state"] == "not applied" and "buckets" not in listed["ops"]
    assert listed["ops"]["cortex"] == api_url("cortex", "ops", "showdown.example.com")


def test_one_tenant_is_shown_with_its_settings(instance: Instance) -> None:
    shown = instance.read(show.show, "showdown", "default")
    assert shown["stored"] == {"objects": 1, "versions": 0, "uploads": 0, "storedBytes": 1500}
    assert shown["settings"]["size"] and shown["effectiveLimits"] == {"metrics": None, "logs": None}
    assert "storedBytes: 1500\n" in instance.call(show.show, "showdown", "default").stdout


def test_an_instance_is_listed_without_stacks_of_single_tenants(instance: Instance) -> None:
    instance.states["showdown.team"] = []
    assert instance.call(list_instances).stdout == "showdown\n"


def test_the_status_has_what_is_configured_and_what_is_applied(instance: Instance) -> None:
    words = instance.call(status, "showdown").stdout
    assert "instance:      showdown\ndomain:        showdown.example.com\ntrusted keys:  " in words
    assert "tenant ops: configured, but not applied" in words and "gateway answers" in words
    read = instance.read(status, "showdown")
    assert read["tenants"]["default"]["applied"] and read["tenants"]["default"]["buckets"] == instance.buckets
    assert not read["tenants"]["ops"]["applied"] and read["gatewayPods"] == {}


class Stuck(Pods):
    """A cluster whose quota admits no pod."""

    def get(self, version: str, kind: str, *arguments: Any) -> dict[str, Any]:
        found = super().get(version, kind, *arguments)
        metadata = {"name": "loki", "namespace": "default-tenant", "creationTimestamp": "2026-01-01T00:00:00Z"}
        spec = found.get("spec", {}) | {"selector": {"matchLabels": {"app": "loki"}}}
        return {"metadata": metadata, "spec": spec, "status": {}}

    def objects(self, kind: str, *_: Any) -> list[dict[str, Any]]:
        event = {"involvedObject": {"name": "loki"}, "reason": "FailedCreate", "message": "exceeded quota: q"}
        return [event] if kind == "events" else []


class Silent(Pods):
    """A cluster that does not answer."""

    def get(self, *_: Any) -> Any:
        raise UserError("no answer")


def test_a_tenant_whose_pods_are_not_ready_does_not_answer_and_the_reason_is_told(instance: Instance) -> None:
    instance.context.test_cluster = Stuck()
    (line,) = [one for one in instance.call(status, "showdown").stdout.splitlines() if one.startswith("tenant default")]
    assert "NOT READY: cortex 0 of 1 ready, loki 0 of 1 ready; FailedCreate: exceeded quota: q" in line
    assert "answers" not in line
    read = instance.read(status, "showdown")["tenants"]
    assert read["default"]["reasons"] == ["FailedCreate: exceeded quota: q"]
    assert (read["ops"]["state"], read["ops"]["reasons"]) == (None, [])
    listed = {entry["name"]: entry for entry in instance.read(show.list_, "showdown")}
    assert listed["default"]["state"] == "cortex 0 of 1 ready, loki 0 of 1 ready"
    assert listed["default"]["reasons"] == ["FailedCreate: exceeded quota: q"]
    assert "default: FailedCreate: exceeded quota: q" in instance.call(show.list_, "showdown").stderr


def test_the_status_tells_why_pods_of_the_gateway_are_not_ready(instance: Instance) -> None:
    assert "gateway:  " not in instance.call(status, "showdown").stdout
    assert instance.read(status, "showdown")["gateway"] == {"state": "ready", "reasons": []}
    instance.context.test_cluster = Stuck()
    told = ["FailedCreate: exceeded quota: q"]
    assert f"gateway:       NOT READY: 0 of 1 pods ready; {told[0]}\n" in instance.call(status, "showdown").stdout
    assert instance.read(status, "showdown")["gateway"] == {"state": "0 of 1 pods ready", "reasons": told}


def test_the_status_of_the_gateway_is_unknown_where_no_cluster_answers(instance: Instance) -> None:
    instance.context.test_cluster = Silent()
    shown = instance.call(status, "showdown")
    assert "gateway:  " not in shown.stdout and "pods of the gateway are ready is unknown: no answer" in shown.stderr
    assert instance.read(status, "showdown")["gateway"] == {"state": None, "reasons": []}


class Answering(Pods):
    """A cluster whose system tenant has a sample of 12 seconds ago and a line of 3 hours ago, and no sample that goes on."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    def ask(self, *request: Any) -> str | None:
        where, pod, _, path, headers = request
        endpoint, _, query = path.partition("?")
        values = dict(parse_qsl(query))
        self.asked.append((where, pod, headers))
        if endpoint == "/prometheus/api/v1/query":
            assert foreign(values["query"]) == set()
            age = [{"metric": {}, "value": [0, "12.9"]}] if "[24h:" in values["query"] else []
            return json.dumps({"data": {"result": age}})
        if endpoint == "/loki/api/v1/query_range":
            assert (values["limit"], values["direction"]) == ("1", "backward")
            written = [str(int(values["end"]) - 3 * 3600 * 10**9), "a line", {}]
            return json.dumps({"data": {"result": [{"stream": {}, "values": [written]}]}})
        return None


KNOWN = {
    "metrics": {"enabled": True, "ageSeconds": 12, "reason": None},
    "logs": {"enabled": True, "ageSeconds": 3 * 3600, "reason": None},
}


def test_the_status_tells_how_old_the_newest_data_of_the_system_tenant_is(instance: Instance) -> None:
    instance.context.test_cluster = cluster = Answering()
    assert "collected:     newest sample 12s old, newest line 3h old\n" in instance.call(status, "showdown").stdout
    organisation = {"X-Scope-OrgID": "system"}
    asked = {entry[:2] for entry in cluster.asked if entry[2] == organisation}
    assert asked == {("system-tenant", "cortex-0"), ("system-tenant", "loki-0")}
    assert instance.read(status, "showdown")["newestData"] == KNOWN


def test_the_list_of_tenants_tells_it_of_the_system_tenant_alone(instance: Instance) -> None:
    instance.context.test_cluster = Answering()
    urn = "urn::tenant-system"
    instance.states["showdown"].append({"urn": urn, "type": TENANT_TYPE, "outputs": {"settings": {}}})
    listed = {entry["name"]: entry.get("newestData") for entry in instance.read(show.list_, "showdown")}
    assert listed == {"default": None, "ops": None, "system": KNOWN}
    assert "system: newest sample 12s old, newest line 3h old\n" in instance.call(show.list_, "showdown").stderr


def test_an_age_is_unknown_with_the_reason(instance: Instance) -> None:
    shown = instance.call(status, "showdown")
    assert "collected:     newest sample unknown, newest line unknown\n" in shown.stdout
    reason = "cortex-0 of the tenant system does not answer"
    assert f"the age of the newest sample is unknown: {reason}\n" in shown.stderr
    read = instance.read(status, "showdown")["newestData"]
    assert read["metrics"] == {"enabled": True, "ageSeconds": None, "reason": reason}
    instance.context.test_cluster = Silent()
    assert "the age of the newest line is unknown: no answer" in instance.call(status, "showdown").stderr


class Empty(Pods):
    """A cluster whose system tenant has no data."""

    def ask(self, *_: Any) -> str | None:
        return json.dumps({"data": {"result": []}, "numSeries": 0})


def test_no_data_of_a_day_has_no_age(instance: Instance) -> None:
    instance.context.test_cluster = Empty()
    shown = instance.call(status, "showdown")
    assert "collected:     newest sample unknown, newest line unknown\n" in shown.stdout
    assert "unknown: no line of the last 24 hours is in the tenant system\n" in shown.stderr


def test_there_is_no_age_of_what_is_not_collected(instance: Instance, stack: Path) -> None:
    stack.write_text(stack.read_text().rstrip() + "\n  opstrace:collectors: {metrics: false}\n")
    instance.context.test_cluster = Answering()
    assert "collected:     metrics not collected, newest line 3h old\n" in instance.call(status, "showdown").stdout
    off = {"enabled": False, "ageSeconds": None, "reason": None}
    assert instance.read(status, "showdown")["newestData"] == KNOWN | {"metrics": off}


def test_retained_data_is_listed_expires_and_is_purged(instance: Instance) -> None:
    (line,) = instance.call(data.list_, "showdown").stdout.splitlines()[1:]
    assert line.split()[:2] == ["gone", "0b0b0c0d"] and ID not in line and line.split()[-1] == "never"
    expiring = instance.read(data.expire, "showdown", "gone", "--days", 3)
    assert expiring["expiresOn"] and instance.read(data.list_, "showdown") == [expiring]
    assert instance.read(data.purge, "showdown", "gone", "--yes") == expiring
    assert instance.read(data.list_, "showdown") == []


def test_a_tenant_moves_to_its_own_stack_with_its_settings(instance: Instance, stack: Path) -> None:
    moved = instance.read(move, "showdown", "default", "--to", "own-stack")
    assert moved["stack"] == "showdown.default" and {*moved["files"]} == {stack.name, "Pulumi.showdown.default.yaml"}
    assert instance.updates == ["showdown", "showdown.default"]
    assert instance.states["showdown"] == [] and len(instance.states["showdown.default"]) == 4
    assert "name: default" not in stack.read_text()
    assert instance.secrets_providers == {"showdown.default": None}


@pytest.mark.parametrize("recorded", [f"secretsprovider: {KEY_SERVICE}\nencryptedkey: x\n", "encryptionsalt: v1:x\n"])
def test_a_tenant_s_own_stack_has_the_secrets_provider_of_the_instance(
    instance: Instance, stack: Path, recorded: str
) -> None:
    stack.write_text(recorded + stack.read_text())
    expected = KEY_SERVICE if KEY_SERVICE in recorded else "passphrase"
    instance.read(move, "showdown", "default", "--to", "own-stack")
    instance.read(add, "showdown", "shop", "--own-stack")
    assert instance.secrets_providers == {"showdown.default": expected, "showdown.shop": expected}
