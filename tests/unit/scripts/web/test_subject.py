"""The files of an instance are read again when they change, and no others."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.core.errors import UserError
from scripts.stackfile.file import StackFile
from scripts.web.subject import Subject
from tests.support.contexts import FakeContext
from tests.support.factories import settings


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., None]:
    """Writes the file of a tenant with its own stack."""

    def write(tenant: str, **tenant_settings: Any) -> None:
        file = StackFile(f"showdown.{tenant}", tmp_path)
        for name, value in {"tenantOf": "showdown", "name": tenant, "tenant": tenant_settings}.items():
            file.set(name, value)
        file.write()

    return write


@pytest.fixture
def instance(tmp_path: Path) -> StackFile:
    file = StackFile("showdown", tmp_path)
    for name, value in settings().items():
        file.set(name, value)
    file.write()
    return file


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeContext:
    """A context that keeps the names of the stack files that were read in `read`."""
    context, read = FakeContext(tmp_path), list[str]()

    def stack_file(stack: str) -> StackFile:
        read.append(stack)
        return StackFile(stack, tmp_path)

    monkeypatch.setattr(context, "stack_file", stack_file)
    monkeypatch.setattr(context, "read", read, raising=False)
    return context


def test_files_are_read_while_an_account_does_not_answer(
    instance: StackFile, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, may_answer = threading.Event(), threading.Event()

    def clients(*_: Any) -> Any:
        asked.set()
        assert may_answer.wait(60)
        raise UserError("no answer")

    monkeypatch.setattr(FakeContext, "clients", clients)
    monkeypatch.setattr(FakeContext, "engine", lambda *_, **__: None)
    subject, errors = Subject(context, "local", "showdown"), list[str]()

    def ask() -> None:
        with pytest.raises(UserError, match="no answer"):
            subject.target()
        errors.append("told")

    thread = threading.Thread(target=ask)
    thread.start()
    assert asked.wait(60)
    assert "default" in subject.settings() and errors == []  # a browser gets its list meanwhile
    may_answer.set()
    thread.join(60)
    assert errors == ["told"]


def test_only_changed_files_are_read_again(
    instance: StackFile, context: Any, write: Callable[..., None], tmp_path: Path
) -> None:
    write("shop", owner="Ann")
    write("ops")
    subject = Subject(context, "local", "showdown")
    assert subject.config() is subject.config() and context.read == []  # the start of the page reads one file
    assert subject.settings()["shop"].owner == "Ann" and subject.settings()["ops"].owner is None
    assert sorted(context.read) == ["showdown.ops", "showdown.shop"]
    write("shop", owner="Bob Miller")
    assert subject.settings()["shop"].owner == "Bob Miller" and context.read[2:] == ["showdown.shop"]
    (tmp_path / "Pulumi.showdown.ops.yaml").unlink()
    assert [*subject.settings()] == ["system", "default", "shop"] and context.read[3:] == []


def test_a_look_tells_whether_a_file_of_the_instance_has_changed(
    instance: StackFile, context: Any, write: Callable[..., None], tmp_path: Path
) -> None:
    subject = Subject(context, "local", "showdown")

    def has_changed() -> bool:
        before = subject.version
        subject.settings()
        return subject.version != before

    assert has_changed() and not has_changed()
    changes: tuple[Callable[[], object], ...] = (
        lambda: write("shop"),
        (tmp_path / "revoked-tokens.new.txt").touch,
        lambda: os.utime(instance.path, (1, 1)),
    )
    for change in changes:
        change()
        assert has_changed() and not has_changed()
    for name in ("Pulumi.showdown2.yaml", "Pulumi.showdown2.shop.yaml"):
        (tmp_path / name).touch()
        assert not has_changed()
    assert subject.own_stacks() == ("shop",)


def test_files_that_are_gone_since_the_folder_was_read_are_absent(
    instance: StackFile, context: Any, write: Callable[..., None], tmp_path: Path
) -> None:
    write("shop")
    (tmp_path / "Pulumi.showdown.ops.yaml").symlink_to(tmp_path / "nothing")
    (tmp_path / "revoked-tokens.other.txt").symlink_to(tmp_path / "nothing")
    subject = Subject(context, "local", "showdown")
    assert [*subject.settings()] == ["system", "default", "shop"]
    (tmp_path / "nothing").write_bytes((tmp_path / "Pulumi.showdown.shop.yaml").read_bytes().replace(b"shop", b"ops"))
    assert "ops" in subject.settings()
    (tmp_path / "nothing").unlink()
    assert [*subject.settings()] == ["system", "default", "shop"]


def test_new_defaults_of_the_instance_hold_for_tenants_with_stacks_of_their_own(
    instance: StackFile, context: Any, write: Callable[..., None]
) -> None:
    write("shop")
    subject = Subject(context, "local", "showdown")
    assert subject.settings()["shop"].retention.metrics == "7d"
    instance.set("tenantDefaults", {"retention": {"metrics": "30d"}})
    instance.write()
    assert subject.settings()["shop"].retention.metrics == "30d" and context.read == ["showdown.shop"]


def test_an_invalid_file_is_told_until_it_is_mended(
    instance: StackFile, context: Any, write: Callable[..., None], tmp_path: Path
) -> None:
    write("shop")
    subject = Subject(context, "local", "showdown")
    assert "shop" in subject.settings()
    (tmp_path / "Pulumi.showdown.shop.yaml").write_text(
        "config: {opstrace:tenantOf: showdown, opstrace:tenant: {size: huge}}\n"
    )
    for _ in range(2):
        with pytest.raises(UserError, match="huge"):
            subject.settings()
    write("shop", owner="Zoe")
    assert subject.settings()["shop"].owner == "Zoe"


def test_settings_that_do_not_fit_the_defaults_are_told_until_they_do(
    instance: StackFile, context: Any, write: Callable[..., None]
) -> None:
    instance.set("tenantDefaults", {"size": {"metrics": {"memoryLimit": "1Gi"}}})
    instance.write()
    write("shop")
    subject = Subject(context, "local", "showdown")
    assert "shop" in subject.settings()
    write("shop", size={"metrics": {"memory": "2Gi"}})
    for _ in range(2):
        with pytest.raises(UserError, match="raise memoryLimit"):
            subject.settings()
    write("shop", owner="Zoe")
    assert subject.settings()["shop"].owner == "Zoe"


def test_its_clients_give_up_soon(instance: StackFile, tmp_path: Path) -> None:
    class Recording(FakeContext):
        """A context that keeps whether its clients give up soon."""

        asked: list[bool] = []

        def clients(self, provider: Any, config: Any) -> Any:
            self.asked.append(self.gives_up_soon)
            return super().clients(provider, config)

    context = Recording(tmp_path, lambda stack: None)
    Subject(context, "local", "showdown").target()
    assert context.asked == [True] and not context.gives_up_soon
