"""`tenants remove` over moto in this process: its questions, its steps and its final check, at each point of a resume."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from components.config.tenant import OnDelete
from components.core.errors import UserError
from components.core.resource_names import BUCKET_TYPE, STATEFUL_SET_TYPE, TENANT_TYPE
from scripts.cli.tenants.remove import remove
from tests.support.contexts import EmptyCluster, FakeContext, invoke
from tests.support.factories import settings
from tests.support.s3_stores import make_store

URN = "urn::tenant-default"


@pytest.fixture
def stack_settings() -> dict[str, Any]:
    return settings(tenants=[{"name": "default"}, {"name": "ops"}])


def state(
    buckets: Mapping[str, str] | None = None, policy: OnDelete = "retain", *, pods: bool = False
) -> list[dict[str, Any]]:
    """Return the resources of the tenant `default` in the state of a stack."""
    kept = policy == "retain"
    claim = {"spec": {"resources": {"requests": {"storage": "10Gi"}}}}
    pod = {"inputs": {"spec": {"replicas": 1, "volumeClaimTemplates": [claim]}}, "type": STATEFUL_SET_TYPE}
    return [
        {"urn": URN, "type": TENANT_TYPE, "outputs": {"settings": {}}},
        *(
            {"urn": f"{URN}-{kind}-bucket", "type": BUCKET_TYPE, "parent": URN, "id": name, "retainOnDelete": kept}
            for kind, name in (buckets or {}).items()
        ),
        *([{"urn": f"{URN}-cortex-stateful-set", **pod}] if pods else []),
    ]


class Engine:
    """An engine whose updates remove no resource; it records the file's policy at each."""

    instance = "showdown"

    def __init__(self, file: Path, resources: list[dict[str, Any]]) -> None:
        self._file, self.resources = file, resources
        self.updates: list[str] = []

    def state(self) -> list[dict[str, Any]]:
        return self.resources

    def up(self, *_: Any) -> None:
        self.updates.append(self._file.read_text())


class Pods(EmptyCluster):
    """A cluster in which `ready` of one pod of each program are ready."""

    def __init__(self, ready: int) -> None:
        self._ready = ready

    def get(self, *_: Any) -> dict[str, Any]:
        return {"metadata": {}, "spec": {"replicas": 1}, "status": {"readyReplicas": self._ready}}


class Instance:
    """An instance on which `default` is removed."""

    def __init__(self, stack: Path, aws: Any, resources: Iterable[dict[str, Any]], *, ready: bool = True) -> None:
        self.engine = Engine(stack, [*resources])
        self._context = FakeContext(stack.parent, lambda name: self.engine, aws=aws, cluster=Pods(1 if ready else 0))

    def remove(self, *options: str, typed: str | None = None) -> Result:
        return invoke(self._context, remove, "local", "showdown", "default", *options, "--json", typed=typed)

    def refusal(self, *options: str, typed: str | None = None) -> str:
        """Return why the command fails."""
        done = self.remove(*options, typed=typed)
        assert isinstance(done.exception, UserError), done
        return str(done.exception)


def take_out(stack: Path) -> None:
    """Take the entry of `default` out of the file, as an interrupted removal does."""
    stack.write_text(stack.read_text().replace("    - name: default\n", ""))


def test_a_removal_whose_buckets_have_left_the_state_does_not_say_that_they_are_gone(stack: Path, aws: Any) -> None:
    kept = make_store(aws)
    take_out(stack)
    instance = Instance(stack, aws, state())
    assert "treated as recorded before its buckets left the state" in instance.refusal("--purge", "--yes")
    done = instance.remove("--yes")
    assert done.exit_code == 0 and '"data": null' in done.stdout, done
    assert f"Retained is {kept.id}" in done.stderr and "Nothing is left" not in done.stderr


def test_a_removal_that_goes_on_does_what_was_recorded_and_asks_for_ready_pods(stack: Path, aws: Any) -> None:
    buckets = make_store(aws).buckets
    take_out(stack)
    instance = Instance(stack, aws, state(buckets, pods=True), ready=False)
    assert "is not ready" in instance.refusal("--yes")
    assert "recorded that its data is to be kept" in instance.refusal("--purge", "--yes", "--force")
    assert instance.engine.updates == []
    done = instance.remove("--yes", "--force")
    assert done.exit_code == 0 and "is kept in 3 buckets" in done.stderr, done
    going = Instance(stack, aws, state(buckets, "purge"))
    assert "was to be deleted, but" in going.refusal("--yes")  # nothing took it away


def test_the_purge_of_a_tenant_does_not_wait_for_its_pods(stack: Path, aws: Any) -> None:
    take_out(stack)
    going = Instance(stack, aws, state(make_store(aws).buckets, "purge", pods=True), ready=False)
    assert "was to be deleted, but" in going.refusal("--yes")  # nothing took it away


def test_a_purge_that_nobody_named_on_the_command_line_asks_for_the_name_too(stack: Path, aws: Any) -> None:
    stack.write_text(stack.read_text().replace("- name: default\n", "- name: default\n      onDelete: purge\n"))
    instance = Instance(stack, aws, state(make_store(aws).buckets, "purge", pods=True))
    done = instance.remove(typed="ops\n")
    assert isinstance(done.exception, UserError) and "is not the name default" in str(done.exception)
    assert "All data of default will be deleted for good: 0 objects" in done.stderr
    assert instance.engine.updates == [] and "name: default" in stack.read_text()


@pytest.mark.parametrize(("recorded", "option"), [("purge", "retain"), ("retain", "purge")])
def test_an_option_overrules_what_is_recorded_which_is_recorded_first(
    stack: Path, aws: Any, recorded: OnDelete, option: OnDelete
) -> None:
    instance = Instance(stack, aws, state(make_store(aws).buckets, recorded, pods=True))
    done = instance.remove(f"--{option}", "--yes")
    first, second = instance.engine.updates
    assert f"name: default\n      onDelete: {option}\n" in first and "name: default" not in second
    if option == "retain":
        assert done.exit_code == 0 and "is kept in 3 buckets" in done.stderr
    else:
        assert "was to be deleted, but" in str(done.exception)  # nothing took it away
