"""An edit of a stack file keeps every line that it does not change, byte for byte, in whatever style it is written."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.public_keys import canonical_pem, key_id
from scripts.cli.tenants.edit import add, set_
from scripts.stackfile.file import StackFile
from scripts.stackfile.lines import patched, split_header
from tests.support.contexts import FakeContext, invoke
from tests.support.factories import KEY

PEM = "".join(f"        {line}\n" for line in canonical_pem(KEY).splitlines())
REST = f"""\
  opstrace:dataApi:
    publicKeys:
      {key_id(KEY)}: |
{PEM}\
  opstrace:cluster:
    context: observability
    oidcProviderArn: arn:aws:iam::111122223333:oidc-provider/x
    oidcIssuer:  "https://issuer.example.com"   # two spaces before it
    nodeSecurityGroupId: 'sg-1'
    enforcesNetworkPolicies: true
  opstrace:loadBalancer: {{vpcId: vpc-1, subnetIds: [ subnet-1 ], autoscalingGroups: [nodes]}}
  opstrace:aws:
      region: us-west-2
"""
FILE = f"config:\n  opstrace:domain: example.com\n  opstrace:tenants:\n    - name: default\n{REST}"
FLAT = FILE.replace("    - name: default", "  - name: default")
WIDE = "".join(f"{line[: len(line) - len(line.lstrip())]}{line}" for line in FILE.splitlines(keepends=True))
COPYRIGHT = "# Copyright Example\n# do not edit without review\n"
FORMS = {
    "plain": FILE,
    "comments above ---": f"{COPYRIGHT}---\n{FILE}",
    "a comment beside ---": f"--- # ours\n{FILE}",
    "%YAML 1.2": f"%YAML 1.2\n---\n{FILE}",
    "%YAML 1.1": f"{COPYRIGHT}%YAML 1.1\n# and\n---\n{FILE}",
    "...": f"---\n{FILE}...\n",
    "no final line feed": FILE[:-1],
    "byte order mark": f"\ufeff{FILE}",
    "blank lines": f"\n\n{FILE}\n\n",
    "list below its key": FLAT,
    "indent of four": WIDE,
}
CASES = [(form, end) for form in FORMS for end in ("\n", "\r\n")]


@pytest.mark.parametrize(("form", "end"), CASES, ids=[f"{form}, {end!r}" for form, end in CASES])
def test_a_new_tenant_is_one_line_more_and_the_diff_shows_that(tmp_path: Path, form: str, end: str) -> None:
    path = tmp_path / "Pulumi.showdown.yaml"
    before = FORMS[form].replace("\n", end).encode()
    path.write_bytes(before)
    done = invoke(FakeContext(tmp_path), add, "local", "showdown", "extra", "--no-apply")
    assert done.exception is None, done
    old, new = (text.splitlines(keepends=True) for text in (before, path.read_bytes()))
    place = next(number for number, line in enumerate(old) if b"- name: default" in line) + 1
    assert new == [*old[:place], old[place - 1].replace(b"default", b"extra"), *old[place:]]
    changes = re.findall(r"^[+-](?!\+\+ |-- )[^\r\n]*", done.stderr, re.MULTILINE)
    assert changes == ["+" + new[place].decode().strip("\r\n")]
    assert StackFile("showdown", tmp_path).config().tenants[1].name == "extra"


def test_an_edit_of_a_line_changes_that_line_alone(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.showdown.yaml"
    path.write_text(
        FILE.replace("- name: default\n", "- name:   default # all\n      owner:  a\n      protect:  true\n")
    )
    before = path.read_text()
    done = invoke(FakeContext(tmp_path), set_, "local", "showdown", "default", "owner=b", "--no-apply")
    assert done.exception is None and path.read_text() == before.replace("owner:  a", "owner: b")


def test_lines_that_end_in_different_ways_stay(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.showdown.yaml"
    path.write_bytes(FILE.replace("example.com\n", "example.com\r\n", 1).encode())
    invoke(FakeContext(tmp_path), add, "local", "showdown", "extra", "--no-apply")
    expected = FILE.replace("example.com\n", "example.com\r\n", 1)
    expected = expected.replace("    - name: default\n", "    - name: default\n    - name: extra\n")
    assert path.read_bytes() == expected.encode()


def test_a_line_of_an_error_is_that_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.showdown.yaml").write_text(f"{COPYRIGHT}---\nconfig:\n  a: [1\n  b: 2\n")
    with pytest.raises(Exception, match="line 6"):
        StackFile("showdown", tmp_path)


TEXTS = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "d\n"]), max_size=8).map("".join)


@given(TEXTS, TEXTS)
def test_a_text_in_the_writer_s_style_becomes_the_new_one(before: str, after: str) -> None:
    assert patched(before, before, after) == after
    assert patched(before.replace("\n", "\r\n"), before, after) == after.replace("\n", "\r\n" if before else "\n")


@given(TEXTS, TEXTS)
def test_a_text_without_a_change_stays_whatever_its_style(original: str, before: str) -> None:
    assert patched(original, before, before) == original


@given(TEXTS, TEXTS, TEXTS)
def test_a_new_last_line_is_in_the_result(original: str, before: str, after: str) -> None:
    assert "new\n" in patched(original, before, f"{after}new\n")


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("a: 1\n---\nb: 2\n", ""),
        ("# c\na: 1\n", ""),
        ("# c\n", "# c\n"),
        ("---\na: 1\n", "---\n"),
        ("--- {a: 1}\n", ""),
        ("---\n", "---\n"),
        ("", ""),
    ],
)
def test_what_stands_before_the_document_is_its_header(text: str, header: str) -> None:
    assert split_header(text) == (header, text.removeprefix(header))
