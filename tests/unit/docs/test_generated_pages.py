"""The generated reference pages are current, and name every command, option and setting."""

import re
from collections.abc import Iterator

import click
import pytest

from components.config.schema import json_schema
from reference.commands import commands_page
from reference.markdown import escape, table
from reference.pages import GENERATED
from reference.stack_file import stack_file_page
from scripts.cli.main import opstrace
from scripts.ui.durations import Duration, Moment
from tests.support.shell import ROOT

COMMANDS = (ROOT / "docs" / "reference" / "cli.md").read_text()
STACK_FILE = (ROOT / "docs" / "reference" / "stack-file.md").read_text()


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield each command below another, with the words that a user types."""
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            inner = command.get_command(click.Context(command), name)
            assert inner
            yield f"{path} {name}", inner
            yield from commands(inner, f"{path} {name}")


ALL = dict(commands(opstrace, "opstrace"))


@pytest.mark.parametrize("name", GENERATED)
def test_a_generated_page_is_current(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == GENERATED[name](), "run `make docs`"


def test_the_commands_are_found() -> None:
    assert {"opstrace create", "opstrace tenants data adopt", "opstrace ta-create-token"} <= {*ALL}
    assert re.findall(r"^## (.+)$", COMMANDS, re.MULTILINE) == [*ALL]


@pytest.mark.parametrize("path", ALL)
def test_a_command_has_its_section_with_each_option(path: str) -> None:
    _, _, section = COMMANDS.partition(f"\n## {path}\n")
    section = section.partition("\n## ")[0]
    options = [option for option in ALL[path].params if isinstance(option, click.Option)]
    assert [name for option in options for name in option.opts if not re.search(rf"[|,] `{name}\b", section)] == []
    assert len(re.findall(r"^\| `-", section, re.MULTILINE)) == len(options)


def test_the_help_of_an_option_that_takes_durations_says_what_a_year_is() -> None:
    options = {
        f"{path} {option.opts[0]}": option.help or ""
        for path, command in ALL.items()
        for option in command.params
        if isinstance(option, click.Option) and isinstance(option.type, Duration | Moment)
    }
    assert len(options) >= 6
    assert [name for name, text in options.items() if "A year has 365.25 days." not in text] == []


def test_every_setting_has_its_row() -> None:
    schema = json_schema()
    config = schema["properties"]["config"]
    names = [
        name for part in (config["then"], config["else"], *schema["$defs"].values()) for name in part["properties"]
    ]
    assert len(names) > 100
    assert len(re.findall(r"^\| `", STACK_FILE, re.MULTILINE)) == len(names)
    assert [name for name in names if f"| `{name}` |" not in STACK_FILE] == []


def test_a_page_follows_what_it_is_generated_from() -> None:
    @click.command()
    @click.option("--depth", type=click.IntRange(1, 9), default=2, show_default=True, help="How deep, unless --flat.")
    @click.option("--with", type=click.Choice(["spade", "hands"]), help="The tool.")
    def dig() -> None:
        """Dig a <hole> in `the <ground>`."""

    page = commands_page(click.Group("tools", commands={"dig": dig}), "tools")
    assert "| `--with CHOICE` | The tool. `spade` or `hands`. |" in page
    assert "| `--depth INTEGER` | How deep, unless `--flat`. 1 to 9. | `2` |" in page
    assert r"Dig a \<hole> in `the <ground>`." in page
    schema = json_schema()
    schema["$defs"]["Retention"]["properties"]["metrics"]["default"] = "8d"
    assert "| `metrics` | text | `8d` |" in stack_file_page(schema)


def test_text_outside_of_code_is_shown_as_it_is_written() -> None:
    assert escape("a <b> *c* `<d> *e*` f") == r"a \<b> \*c\* `<d> *e*` f"
    assert table(["x"], [["a|b\nc"]]) == ["| x |", "| --- |", r"| a\|b c |"]
