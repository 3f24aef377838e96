"""The fast reader reads what ruamel.yaml reads, or leaves the text to it."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from components.config.engine_values import problems
from components.core.errors import ConfigError
from scripts.stackfile import document
from scripts.stackfile.document import Document, round_trip
from scripts.stackfile.engine_view import plain
from scripts.stackfile.file import StackFile
from scripts.stackfile.plain_reader import UnsureError, content_of
from tests.support.contexts import FakeContext
from tests.support.factories import JSON

# Parts of documents; ¶ stands for the end of a line, and │ separates them.
FORMS = """: │:│:¶│- │-│? │{│}│[│]│, │#│ # c¶│|¶│>¶│|-¶│'│"│\\│!│&x │*x│<<│=│%│@│~│---¶│...¶│¶│¶  │¶    │¶- │¶  - │ │\t│\r¶│a│b c│é│\
\u2028│a: │b: │true│on│0│010│1.5│.inf│1e3│0x1f│1_0│-1│30d│2026-01-01│12:30│http://x│{a: 1}│[a, b]│'a' │"a\\n" """
PARTS = FORMS.replace("¶", "\n").split("│")
TEXTS = st.lists(st.sampled_from(PARTS), max_size=14).map("".join)
BELOW_A_KEY = TEXTS.map(lambda text: "k:\n  " + text.replace("\n", "\n  ") + "\n")


def comparable(value: Any) -> str:
    return json.dumps(plain(value), default=lambda one: f"{type(one).__name__} {one}")


@given(TEXTS | BELOW_A_KEY | JSON.map(yaml.safe_dump))
def test_a_text_means_the_same_to_both_readers_or_is_left_to_ruamel(text: str) -> None:
    try:
        found = content_of(text)
    except UnsureError:
        return
    assert comparable(found) == comparable(round_trip().load(text)), text


@pytest.mark.parametrize(
    "text",
    [
        *(
            "a: 1\na: 2\n",
            "a: &x 1\nb: *x\n",
            "a: !!str 1\n",
            "a:\n  <<: {b: 1}\n",
            "a: {b:c}\n",
            "a: b\n---\nc: d\n",
            "a: [\n",
            'a: ["b":1]\n',
            "a: [b: 1]\n",
            "a: 2099-13-01T00:00:00Z\n",
            "a: 0x_\n",
            "%YAML 1.1\n--- {a: yes}\n",
            "- " * 60 + "a\n",
        ),
        *(
            "",
            "a:\tb\n",
            "a: b\r\n",
            "a: |\n\n    b\n   c\n",
            "a: >\n  \n    \n",
            "|\n#a\n",
            "? [a]\n: b\n",
            "a: '\u2028'\n",
        ),
    ],
)
def test_rare_forms_are_left_to_ruamel(text: str) -> None:
    with pytest.raises(UnsureError):
        content_of(text)


def test_usual_stack_files_are_read_without_ruamel(context: FakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise, a thousand tenants take seconds."""
    monkeypatch.setattr(document, "_content_of", lambda _: pytest.fail("ruamel.yaml is not needed"))
    file = context.require_file("showdown")
    assert [tenant.name for tenant in file.config().tenants] == ["default"]
    text = "config:\n  opstrace:tags: {team: web, zone: 'a: b'}\n  opstrace:domain: Zürich.example # c\n"
    assert content_of(text)["config"] == {
        "opstrace:tags": {"team": "web", "zone": "a: b"},
        "opstrace:domain": "Zürich.example",
    }


def test_an_edit_keeps_comments_after_the_values_were_read(context: FakeContext) -> None:
    file = context.require_file("showdown")
    file.path.write_text(file.path.read_text() + "# the end\n")
    file = StackFile("showdown", file.path.parent)
    assert file.settings()["domain"] == "example.com"
    file.set("domain", "other.example")
    assert file.settings()["domain"] == file.config().domain == "other.example"
    file.write()
    assert file.path.read_text().endswith("# the end\n") and "other.example" in file.path.read_text()


def test_numbers_are_read_as_they_were_written(context: FakeContext) -> None:
    assert "010 begins with 0" in problems(content_of("opstrace:tags: {a: 010}\n"))[0]
    numbers = "a: 10\nb: 1.5\nc: 2026-01-01\nd: 30d\ne: ~\nf: -0x1f\n"
    assert content_of(numbers) == YAML(typ="safe").load(numbers)


@pytest.mark.parametrize("text", ["3\n", "[a]\n", "config: 3\n", "config:\n", "config: [a]\n"])
def test_a_file_of_another_form_is_refused(context: FakeContext, text: str) -> None:
    with pytest.raises(ConfigError, match="must hold `name: value` lines"):
        Document(context.stacks / "Pulumi.showdown.yaml", text)
