"""Files with aliases and merge keys are read, but no command edits them. A small one cannot fill the memory."""

from pathlib import Path
from typing import Any

import pytest

from components.core.errors import ConfigError, UserError
from components.core.public_keys import canonical_pem, key_id
from scripts.cli.tenants.edit import add, set_
from scripts.cli.tenants.remove import remove
from scripts.cli.tokens.keys import ta_pubkeys_list, ta_pubkeys_remove
from scripts.stackfile.aliases import aliases_in
from scripts.stackfile.file import StackFile
from scripts.tokens.key_files import new_key
from tests.support.contexts import FakeContext, invoke
from tests.support.factories import KEY, settings

SPARE = new_key().public_key()


@pytest.fixture
def stack_settings() -> dict[str, Any]:
    config = settings(tenants=[{"name": "default"}, {"name": "shop"}])
    config["dataApi"]["publicKeys"][key_id(SPARE)] = canonical_pem(SPARE)
    return config


@pytest.fixture
def merged(stack: Path) -> Path:
    """A stack file whose keys are merged into `publicKeys`, and whose tenants share their limits."""
    text = stack.read_text().replace("    publicKeys:\n", "    publicKeys:\n      <<: *team\n      ADDED: x\n")
    keys = text[text.index("      ADDED: x\n") + len("      ADDED: x\n") :]
    keys = keys[: keys.index("  opstrace:")]
    text = text.replace("      ADDED: x\n" + keys, "")
    team = "team: &team\n" + keys.replace("\n    ", "\n").replace("      ", "  ", 1)
    text = text.replace(
        "    - name: default\n", "    - name: default\n      limits: &l {metrics: {ingestion_rate: 5}}\n"
    )
    text = text.replace("    - name: shop\n", "    - name: shop\n      limits: *l\n")
    stack.write_text(team + text)
    return stack


REMOVE_KEY = (ta_pubkeys_remove, ["local", "showdown", key_id(KEY)])
EDITS = [
    REMOVE_KEY,
    (set_, ["local", "showdown", "shop", "limits.metrics.ingestion_rate=7"]),
    (add, ["local", "showdown", "more"]),
    (remove, ["local", "showdown", "shop", "--yes"]),
]


@pytest.mark.parametrize(("verb", "arguments"), EDITS, ids=["pubkeys-remove", "set", "add", "remove"])
def test_a_file_with_aliases_is_read_and_not_edited(
    merged: Path, context: FakeContext, verb: Any, arguments: list[str]
) -> None:
    before = merged.read_text()
    listed = invoke(context, ta_pubkeys_list, "local", "showdown")
    assert {*listed.stdout.split()} == {key_id(KEY), key_id(SPARE)}, listed
    done = invoke(context, verb, *arguments, "--no-apply")
    assert isinstance(done.exception, UserError) and merged.read_text() == before
    number = int(str(done.exception).split("line ")[1].split()[0])
    assert any(mark in before.splitlines()[number - 1] for mark in ("*l", "<<"))
    assert "write the value out where it is used" in str(done.exception)


@pytest.mark.parametrize(
    ("text", "is_editable"),
    [
        ("a: &x {b: 1}\nc: *x\nconfig: {opstrace:domain: x}\n", True),
        ("config: {opstrace:domain: &x y}\n", True),
        ('config: {opstrace:domain: "<<", "<<": 1}\n', True),
        ("config: {opstrace:domain: x, aws:a: &x 1, aws:b: *x}\n", True),
        ("config: {opstrace:domain: &x y, aws:region: *x}\n", False),
        ("b: &x {opstrace:domain: y}\nconfig: *x\n", False),
        ("b: &x {opstrace:domain: y}\nconfig: {<<: *x}\n", False),
        ("config: {opstrace:dataApi: {<<: {publicKeys: {}}}}\n", False),
        ("config: {opstrace:dataApi: {!!merge x: {publicKeys: {}}}}\n", False),
        ("b: &x {config: {opstrace:domain: y}}\n<<: *x\n", False),
    ],
)
def test_only_aliases_that_an_edit_could_change_prevent_it(tmp_path: Path, text: str, is_editable: bool) -> None:
    (tmp_path / "Pulumi.showdown.yaml").write_text(text)
    file = StackFile("showdown", tmp_path)
    file.set("tags", {"a": "b"})
    if is_editable:
        file.write()
        assert StackFile("showdown", tmp_path).settings()["tags"] == {"a": "b"}
    else:
        with pytest.raises(UserError, match="line"):
            file.write()
        assert file.path.read_text() == text


def test_a_write_that_changes_no_setting_is_allowed_despite_aliases(merged: Path) -> None:
    """`destroy` removes the salt from the file after it has deleted the instance."""
    merged.write_text(f"encryptionsalt: abc\n{merged.read_text()}")
    file = StackFile("showdown", merged.parent)
    file.forget_stack()
    file.write()
    assert "encryptionsalt" not in merged.read_text() and "*team" in merged.read_text()


def bomb(depth: int) -> str:
    lines = ["a0: &a0 {x: y}"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, depth)]
    return "\n".join([*lines, f"config: {{opstrace:tags: *a{depth - 1}}}\n"])


@pytest.mark.parametrize(
    ("text", "reason"), [(bomb(9), "more than 200000 values"), ("config: {opstrace:tags: &a [*a]}\n", "line 1")]
)
def test_aliases_that_stand_for_too_many_values_are_one_error(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "Pulumi.showdown.yaml").write_text(text)
    with pytest.raises(ConfigError, match=reason):
        StackFile("showdown", tmp_path).settings()


def test_each_use_of_an_alias_is_counted() -> None:
    assert len(aliases_in(bomb(4))) == 28


def test_an_edit_that_would_read_back_differently_is_not_written(
    stack: Path, context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stack.read_text()
    monkeypatch.setattr(StackFile, "text", lambda self: before)
    verb, arguments = REMOVE_KEY
    done = invoke(context, verb, *arguments, "--no-apply")
    assert "opstrace:dataApi would read back" in str(done.exception) and stack.read_text() == before
