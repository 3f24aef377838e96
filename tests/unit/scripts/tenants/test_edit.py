"""Values of `tenants set` and `tenants add`: texts stay as they were typed, whatever YAML makes of them."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from components.core.errors import ConfigError, UserError
from scripts.cli.tenants.edit import add, set_
from scripts.stackfile.file import StackFile
from tests.support.contexts import FakeContext, invoke

TYPED = ["4711", "0471", "1.10", "1_000", "0x1F", "2099-01-01", "true", "1e3", "yes", "9223372036854775808"]


@pytest.mark.parametrize("text", TYPED)
@pytest.mark.parametrize("name", ["tags.cost-center", "labels.team", "owner"])
def test_a_text_is_what_was_typed(stack: Path, context: FakeContext, name: str, text: str) -> None:
    done = invoke(context, add, "local", "showdown", "shop", f"{name}={text}", "--no-apply")
    assert done.exception is None, done
    own = StackFile("showdown", stack.parent).config().settings_of("shop")
    assert text in (own.owner, own.labels.get("team"), own.tags.get("cost-center"))
    assert YAML(typ="safe").load(stack.read_text())["config"]["opstrace:tenants"][0] == {"name": "default"}


@pytest.mark.parametrize(
    ("assignment", "written"),
    [
        ("limits.metrics.ingestion_rate=1_000", "ingestion_rate: 1_000"),
        ("size.metrics.cpu=2", 'cpu: "2"'),
        ("size.metrics.cpu=0.50", 'cpu: "0.50"'),
        ("size.replicas=3", "replicas: 3"),
        ("protect=true", "protect: true"),
        ("tags={a: 1, b: c}", "tags:\n        a: 1\n        b: c"),
    ],
)
def test_other_values_are_what_they_are_in_yaml(
    stack: Path, context: FakeContext, assignment: str, written: str
) -> None:
    done = invoke(context, set_, "local", "showdown", "default", assignment, "--no-apply")
    assert done.exception is None and written in stack.read_text(), done
    StackFile("showdown", stack.parent).config()


def test_settings_of_the_system_tenant_are_changed_too(stack: Path, context: FakeContext) -> None:
    done = invoke(context, set_, "local", "showdown", "system", "limits.metrics.ingestion_rate=9", "--no-apply")
    assert done.exception is None, done
    config = StackFile("showdown", stack.parent).config()
    assert config.settings_of("system").limits.metrics.ingestion_rate == 9
    assert config.settings_of("default").limits.metrics.ingestion_rate is None


@pytest.mark.parametrize("assignment", ["limits.metrics.max_exemplars=010", "tags={a: 0471}", "tags={a: {secure: b}}"])
def test_a_value_that_the_engine_reads_differently_is_refused(
    stack: Path, context: FakeContext, assignment: str
) -> None:
    before = stack.read_text()
    done = invoke(context, set_, "local", "showdown", "default", assignment, "--no-apply")
    assert isinstance(done.exception, UserError) and assignment in str(done.exception)
    assert ("begins with 0" if "0" in assignment else "is encrypted") in str(done.exception)
    assert stack.read_text() == before


@pytest.mark.parametrize("setting", ["enforcesNetworkPolicies", "context"])
def test_a_file_without_what_an_update_needs_is_edited_and_not_applied(
    stack: Path, context: FakeContext, setting: str
) -> None:
    """On AWS an update needs the setting. The file can be edited, for example to add it."""
    lines = stack.read_text().splitlines(keepends=True)
    stack.write_text("".join(line for line in lines if f"{setting}:" not in line))
    before = stack.read_text()
    assert before != "".join(lines)
    done = invoke(context, set_, "aws", "showdown", "default", "owner=a", "--yes")
    assert isinstance(done.exception, ConfigError) and f"{setting}: is required" in str(done.exception)
    assert stack.read_text() == before
    done = invoke(context, set_, "aws", "showdown", "default", "owner=a", "--no-apply")
    assert done.exception is None and "owner: a" in stack.read_text(), done
