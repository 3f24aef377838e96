"""Edits of a stack file: each comment stays with the entry below it when other entries are added or removed."""

import re
from pathlib import Path
from typing import Any

import pytest

from components.core.errors import ConfigError
from scripts.stackfile.file import StackFile
from scripts.tenants.edit import assign
from scripts.tenants.move import copy_to_instance_file, copy_to_own_file

TEXT = """\
# the platform's
config:
  # ours
  opstrace:domain: example.com # since May

  # who sends
  opstrace:tenants:
    # the first
    - name: default # for all
      # auditors ask for it
      retention: # long
        metrics: 30d # a month

    # the web shop,
    # in two lines
    - name: shop
      owner: web
    # on one line
    - {name: flow, owner: y} # flat
    # the last
    - name: data
      labels: {a: b}
      # why
      owner: |
        two
        lines

  # keys
  opstrace:dataApi:
    publicKeys:
      abc: |
        PEM
      # the next
      def: x
    # who may
    allowedCidrs:
      - 192.0.2.0/24 # one
      # the office
      - 198.51.100.0/24
  # nothing follows
# the end
"""


@pytest.fixture
def file(tmp_path: Path) -> StackFile:
    (tmp_path / "Pulumi.showdown.yaml").write_text(TEXT)
    return StackFile("showdown", tmp_path)


def without(*lines: str) -> str:
    """Return the text without these lines; each must occur once."""
    kept = TEXT
    for line in lines:
        assert kept.count(f"{line}\n") == 1, line
        kept = kept.replace(f"{line}\n", "")
    return kept


def tenant(file: StackFile, name: str) -> Any:
    return next(entry for entry in file.entry("tenants") if entry["name"] == name)


def test_an_unchanged_file_is_written_byte_for_byte(file: StackFile) -> None:
    assert file.text() == TEXT


def test_a_removed_entry_takes_only_its_own_comments(file: StackFile) -> None:
    file.entry("tenants").remove(tenant(file, "shop"))
    gone = ["", "    # the web shop,", "    # in two lines", "    - name: shop", "      owner: web"]
    assert file.text() == TEXT.replace("\n".join(gone) + "\n", "")
    file.entry("tenants").remove(tenant(file, "data"))
    assert "# the last" not in file.text() and "\n\n  # keys\n  opstrace:dataApi:" in file.text()
    file.entry("tenants").remove(tenant(file, "default"))
    assert "# the first\n    # on one line\n    - {name: flow, owner: y} # flat\n" in file.text()


def test_a_removed_setting_takes_only_its_own_comment(file: StackFile) -> None:
    assign(tenant(file, "shop"), "owner=")
    assert file.text() == without("      owner: web")
    assign(tenant(file, "data"), "owner=")
    assert "      # why" not in file.text() and "      labels: {a: b}\n\n  # keys\n" in file.text()


ENTRIES_ALONE = """\
config:
  opstrace:tenants:
    - &common
      name: default
      owner: x
    - <<: *common
      name: shop
      size: small
    # of q
    - name: q
    # - name: later
    #   size: large
"""


def test_comments_at_the_end_and_after_merged_entries_stay(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.showdown.yaml").write_text(ENTRIES_ALONE)
    file = StackFile("showdown", tmp_path)
    assert file.text() == ENTRIES_ALONE
    file.entry("tenants").append({"name": "added"})
    later = "    # - name: later\n    #   size: large\n"
    assert file.text() == ENTRIES_ALONE.replace(later, f"    - name: added\n{later}")


def test_a_document_with_an_ordered_map_keeps_its_comments(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.showdown.yaml").write_text("config: !!omap\n  - a: b # c\n  # d\n  - e: f\n")
    assert "# d" in StackFile("showdown", tmp_path).text()


def test_merged_values_move_with_their_entry(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.showdown.yaml").write_text(ENTRIES_ALONE)
    own = StackFile("showdown.shop", tmp_path)
    own.set("tenantOf", "showdown")
    copy_to_own_file(StackFile("showdown", tmp_path), own, "shop")
    own.check()
    assert own.settings()["tenant"] == {"owner": "x", "size": "small"}


def test_an_added_entry_comes_before_the_comments_of_the_next(file: StackFile) -> None:
    assign(tenant(file, "shop"), "size=large")
    assert "      owner: web\n      size: large\n    # on one line\n" in file.text()
    file.entry("tenants").append({"name": "added"})
    assert "        lines\n    - name: added\n\n  # keys\n  opstrace:dataApi:" in file.text()
    file.set("tags", {"cost": "1"})
    assert file.text().endswith("198.51.100.0/24\n  opstrace:tags:\n    cost: '1'\n  # nothing follows\n# the end\n")


@pytest.mark.parametrize("name", ["default", "shop", "flow", "data"])
def test_a_move_to_another_file_and_back_loses_no_comment(file: StackFile, tmp_path: Path, name: str) -> None:
    own = StackFile(f"showdown.{name}", tmp_path)
    own.set("tenantOf", "showdown")
    copy_to_own_file(file, own, name)
    file.entry("tenants").remove(tenant(file, name))
    file.write()
    own.write()
    comments = {*re.findall("# .*", TEXT)}
    remaining = {*re.findall("# .*", own.path.read_text() + file.path.read_text())}
    assert comments <= remaining
    assert f"name: {name}" not in own.text() + file.text()

    file, own = StackFile("showdown", tmp_path), StackFile(f"showdown.{name}", tmp_path)
    copy_to_instance_file(own, file, name)
    assert {*re.findall("# .*", file.text())} == comments
    before = StackFile("x", tmp_path)
    assert before.settings() == {}
    (tmp_path / "Pulumi.x.yaml").write_text(TEXT)
    entries = StackFile("x", tmp_path).settings()["tenants"]
    assert sorted(file.settings()["tenants"], key=str) == sorted(entries, key=str)
    (tmp_path / "Pulumi.y.yaml").write_text(file.text())
    assert StackFile("y", tmp_path).text() == file.text()


BROKEN = [
    b"config:\n  opstrace:tags:\n    a: 2099-13-01T00:00:00Z\n",
    b"config:\n  opstrace:tags:\n    a: 0x_\n",
    b"config:\n  opstrace:dataApi: {revokedTokens: {abcdefgh-1: 2099-13-01T00:00:00Z}}\n",
    b"config:\n  a: \xff\n",
    b"config: {a: !!int abc}\n",
    b"a: [1, 2",
    b"a: 1\n---\nb: 2\n",
    b"[" * 1000,
    b"- a\n",
    b"config: 3\n",
    b"\x00",
]


@pytest.mark.parametrize("content", BROKEN, ids=range(len(BROKEN)))
def test_a_file_that_cannot_be_read_is_one_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "Pulumi.showdown.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"Pulumi\.showdown\.yaml"):
        StackFile("showdown", tmp_path)
