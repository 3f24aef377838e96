"""`tenants add` that failed or was interrupted: the same command resumes it."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from components.core.errors import UserError
from components.core.resource_names import TENANT_TYPE, build_urn
from scripts.cli.tenants.edit import add
from tests.support.contexts import FakeContext, invoke


class Engine:
    """An engine whose first update fails; `settings` are what its state records for the tenant `ops`."""

    def __init__(self, instance: str) -> None:
        self.instance = instance
        self.updates = 0
        self.entries: list[dict[str, Any]] = []

    def state(self) -> list[dict[str, Any]]:
        return self.entries

    def ensure_stack(self, **options: Any) -> None:
        """Do nothing."""

    def record(self, settings: dict[str, Any] | None) -> None:
        outputs = {} if settings is None else {"settings": settings}
        urn = build_urn(self.instance, TENANT_TYPE, "tenant-ops")
        self.entries = [{"type": TENANT_TYPE, "urn": urn, "outputs": outputs}]

    def up(self, aws: Any, cluster: Any) -> None:
        self.updates += 1
        if self.updates == 1:
            self.record(None)
            raise UserError("`pulumi up` failed")
        self.record({"retention": {"metrics": "30d"}})


@pytest.fixture
def engines() -> dict[str, Engine]:
    return {}


@pytest.fixture
def applying(stack: Path, engines: dict[str, Engine]) -> FakeContext:
    return FakeContext(stack.parent, lambda name: engines.setdefault(name, Engine(name)))


def call(context: FakeContext, *arguments: str) -> Result:
    return invoke(context, add, "local", "showdown", "ops", *arguments)


@pytest.mark.parametrize(("options", "name"), [((), "showdown"), (("--own-stack",), "showdown.ops")])
def test_the_same_command_resumes_until_an_update_has_completed(
    stack: Path, applying: FakeContext, engines: dict[str, Engine], options: tuple[str, ...], name: str
) -> None:
    arguments = ("retention.metrics=30d", *options)
    assert "failed" in str(call(applying, *arguments).exception)
    written = {path: path.read_text() for path in stack.parent.iterdir()}
    again = call(applying, *arguments)
    assert again.exception is None and "it resumes" in again.stderr and engines[name].updates == 2, again
    assert {path: path.read_text() for path in stack.parent.iterdir()} == written
    third = call(applying, *arguments)
    assert isinstance(third.exception, UserError) and "ops exists already" in str(third.exception)
    assert "tenants set" in str(third.exception) and "pulumi up" not in str(third.exception)
    assert engines[name].updates == 2


def test_other_settings_are_not_taken_for_the_same_command(applying: FakeContext, engines: dict[str, Engine]) -> None:
    call(applying, "retention.metrics=30d")
    other = call(applying, "retention.metrics=60d")
    assert isinstance(other.exception, UserError) and "with other settings" in str(other.exception)
    assert "tenants set" in str(other.exception) and engines["showdown"].updates == 1


def test_the_tenant_of_the_instance_is_never_added(applying: FakeContext) -> None:
    refused = invoke(applying, add, "local", "showdown", "system")
    assert isinstance(refused.exception, UserError) and "system" in str(refused.exception)
