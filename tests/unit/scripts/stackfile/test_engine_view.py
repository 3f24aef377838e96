"""Commands read a stack file as the engine does; what both would read differently is refused with the reason."""

import json
from pathlib import Path
from typing import Any

import pytest

from components.config.load import from_engine
from components.core.errors import ConfigError, UserError
from scripts.cli.tenants.edit import add, set_
from scripts.stackfile.file import StackFile
from scripts.tenants.locate import settings_of
from tests.support.contexts import FakeContext, invoke
from tests.support.factories import settings

DEFAULT = "  opstrace:tenants:\n    - name: default\n"
REGION = "  opstrace:aws:\n    region: us-west-2\n"
AS_JSON = '  opstrace:tenants: \'[{"name": "default"}]\'\n'


def replaced(stack: Path, old: str, new: str) -> str:
    text = stack.read_text()
    assert old in text
    stack.write_text(text.replace(old, new))
    return stack.read_text()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (DEFAULT, AS_JSON),
        (DEFAULT, "  tenants:\n    - name: default\n"),
        (DEFAULT, "  opstrace:config:tenants:\n    - name: default\n"),
        (DEFAULT, '  tenants: >-\n    [{"name":\n    "default"}]\n'),
    ],
    ids=["JSON", "without a prefix", "the old prefix", "JSON without a prefix"],
)
def test_what_the_engine_accepts_is_read_and_edited(stack: Path, context: FakeContext, old: str, new: str) -> None:
    before = replaced(stack, old, new)
    file = context.require_file("showdown")
    assert file.config().tenants[0].name == "default" and file.text() == before
    done = invoke(context, set_, "local", "showdown", "default", "owner=b", "--no-apply")
    assert done.exception is None, done
    done = invoke(context, add, "local", "showdown", "extra", "--no-apply")
    assert done.exception is None, done
    after = StackFile("showdown", stack.parent)
    assert after.settings()["tenants"] == [{"name": "default", "owner": "b"}, {"name": "extra"}]
    assert stack.read_text().count("tenants:") == 1


REFUSED = [
    (
        REGION,
        f"{REGION}    caBundle:\n      secure: v1:abc:def==\n",
        "opstrace:aws.caBundle: is encrypted",
        "--plaintext",
    ),
    (
        DEFAULT,
        f"{DEFAULT}      labels: {{a: {{secure: v1:abc}}}}\n",
        "opstrace:tenants.default.labels.a: is encrypted",
        "--path 'opstrace:tenants[0].labels.a' VALUE",
    ),
    (
        DEFAULT,
        "  opstrace:tenants:\n    secure: v1:abc\n",
        "opstrace:tenants: is encrypted",
        "--path 'opstrace:tenants'",
    ),
    (
        REGION,
        f"{REGION}  opstrace:aws.parentZoneId: Z1\n",
        "aws.parentZoneId: is one name with a dot",
        "config set --path",
    ),
    (REGION, f"{REGION}  opstrace:tenants[0].name: b\n", "tenants[0].name: is one name", "pulumi config rm"),
    (
        REGION,
        f"{REGION}  opstrace:tags: {{a: 010}}\n",
        "tags.a: 010 begins with 0: the engine reads 8",
        '"010" in quotes',
    ),
    (REGION, f"{REGION}  opstrace:tags: {{a: -089}}\n", "-089 begins with 0: the engine reads -89", '"-089"'),
    (REGION, f"{REGION}  opstrace:tags: {{1: a}}\n", "opstrace:tags: the name 1 is a number", "quotes"),
    (REGION, f"{REGION}  1: a\n", "1: a setting's name is a text", "quotes"),
    (
        REGION,
        f"{REGION}  domain: other.example\n",
        "domain: stands twice, as opstrace:domain and as domain",
        "remove one",
    ),
]


@pytest.mark.parametrize(("old", "new", "told"), [(old, new, told) for old, new, *told in REFUSED])
def test_what_both_would_read_differently_is_refused(
    stack: Path, context: FakeContext, old: str, new: str, told: list[str]
) -> None:
    before = replaced(stack, old, new)
    done = invoke(context, set_, "local", "showdown", "default", "owner=b", "--no-apply")
    assert isinstance(done.exception, ConfigError) and all(text in str(done.exception) for text in told)
    assert stack.read_text() == before


def by_engine(given: dict[str, Any]) -> dict[str, str]:
    return {f"opstrace:{name}": value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}


def test_the_program_refuses_encrypted_settings(stack: Path) -> None:
    """The engine hands over their plain text, which would stand in the state."""
    with pytest.raises(ConfigError, match=r"1 problem .*\n  - opstrace:aws: is encrypted \(`secure:`\)"):
        from_engine(by_engine(settings()), "showdown", secrets=["opstrace:aws", "other:key"])
    text = stack.read_text().replace(REGION, f"{REGION}    caBundle:\n      secure: v1:abc\n")
    with pytest.raises(ConfigError, match=r"1 problem .*\n  - opstrace:aws.caBundle: is encrypted"):
        from_engine(by_engine(settings()), "showdown", {"Pulumi.showdown.yaml": text}.__getitem__, ["opstrace:aws"])


@pytest.mark.parametrize("end", ["\n", " # eight\n", "\r\n"])
def test_the_program_refuses_numbers_that_begin_with_0(stack: Path, end: str) -> None:
    """The engine hands over 8 for 010, so the program reads the file."""
    text = stack.read_text() + f"  opstrace:tags:\n    a: 010{end}"
    given = by_engine(settings(tags={"a": "8"}))
    with pytest.raises(ConfigError, match=r"opstrace:tags.a: 010 begins with 0"):
        from_engine(given, "showdown", {"Pulumi.showdown.yaml": text}.__getitem__)
    quoted = text.replace("010", "'010'")
    assert from_engine(given, "showdown", {"Pulumi.showdown.yaml": quoted}.__getitem__)


PROJECT = """\
name: opstrace
runtime: python
config:
  opstrace:aws.parentZoneId: {value: Z1}
  domain: {default: project.example}
  opstrace:tags: {type: object, default: {a: b}}
  aws:region: us-east-1
"""


def in_project(stack: Path, project: str) -> StackFile:
    """Return the stack file in a folder whose project has these lines."""
    (stack.parent / "stacks").mkdir()
    (stack.parent / "Pulumi.yaml").write_text(project)
    stack.rename(stack.parent / "stacks" / stack.name)
    return StackFile("showdown", stack.parent / "stacks")


def test_settings_of_the_project_hold_where_the_stack_has_none(stack: Path) -> None:
    config = in_project(stack, PROJECT).config()
    assert (config.domain, config.aws.parent_zone_id, config.tags) == ("example.com", "Z1", {"a": "b"})
    assert config.aws.region == "us-west-2"


def test_what_the_project_has_for_all_stacks_is_not_edited(stack: Path) -> None:
    replaced(stack, DEFAULT, "")
    file = in_project(stack, f'{PROJECT}  opstrace:tenants: \'[{{"name": "default"}}]\'\n')
    context, before = FakeContext(file.path.parent), file.path.read_text()
    assert settings_of(context, "showdown", file.config(), "default").owner is None
    for verb, arguments in ((add, ["extra"]), (set_, ["default", "owner=b"])):
        done = invoke(context, verb, "local", "showdown", *arguments, "--no-apply")
        assert isinstance(done.exception, UserError), done
        assert "opstrace:tenants stands in Pulumi.yaml, for all stacks; copy it into Pulumi.sho" in str(done.exception)
    assert file.path.read_text() == before


@pytest.mark.parametrize(
    ("line", "told"),
    [("config: {a: [}", "is not valid"), ("config: 3", "is not valid"), ('config: {"a[0]": b}', "a[0]")],
)
def test_a_project_that_cannot_be_read_is_one_error(stack: Path, line: str, told: str) -> None:
    with pytest.raises(ConfigError, match=r"Pulumi\.yaml") as caught:
        in_project(stack, f"name: opstrace\n{line}\n")
    assert told in str(caught.value)
