"""The secrets provider of a stack, checked by the real engine with a passphrase, and with a key of the embedded AWS."""

import os
from pathlib import Path

import pytest

from components.core.errors import UserError
from localcloud.settings import REGION
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from scripts.engine.pulumi import Engine
from scripts.stackfile.file import StackFile
from tests.support.embedded_aws import EmbeddedAws
from tests.support.project import Project

STACK = "sealed"
ALIAS = "alias/state"
KEY_SERVICE = f"awskms://{ALIAS}?region={REGION}"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment without a passphrase."""
    outer = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_CONFIG_")}
    return outer | {
        "PATH": f"{ensure(catalog.PULUMI)}:{os.environ['PATH']}",
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_BACKEND_URL": f"file://{tmp_path}",
    }


@pytest.fixture
def key_service(aws: EmbeddedAws) -> dict[str, str]:
    """The variables with which the engine reaches a key of the embedded AWS."""
    kms = aws.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    if ALIAS not in [entry["AliasName"] for entry in kms.list_aliases()["Aliases"]]:
        kms.create_alias(AliasName=ALIAS, TargetKeyId=key)
    names = {name.upper(): value for name, value in aws.keys.items()}
    return names | {"AWS_ENDPOINT_URL": aws.settings.aws_endpoint, "AWS_REGION": REGION}


def check(environment: dict[str, str], project: Project, provider: str | None = None) -> None:
    recorded = StackFile(STACK, project.folder / "stacks").secrets()
    Engine(environment, STACK, project.folder).require_secrets_provider(recorded, provider)


def test_a_passphrase_is_required_and_nothing_is_created(
    environment: dict[str, str], project: Project, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as refused:
        check(environment, project)
    text = str(refused.value)
    assert "cannot encrypt" in text and "PULUMI_CONFIG_PASSPHRASE_FILE" in text and "--secrets-provider" in text
    with pytest.raises(UserError, match="no such file"):
        check(environment | {"PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "missing")}, project)
    file = tmp_path / "passphrase"
    file.write_text("secret")
    check(environment | {"PULUMI_CONFIG_PASSPHRASE_FILE": str(file)}, project)
    check(environment | {"PULUMI_CONFIG_PASSPHRASE": "secret"}, project)
    check(environment | {"PULUMI_CONFIG_PASSPHRASE": ""}, project)  # the engine takes an empty one
    assert Engine(environment, STACK, project.folder).stacks() == [] and not project.stack_path(STACK).exists()


def test_the_passphrase_of_a_stack_is_verified(environment: dict[str, str], project: Project) -> None:
    try:
        right = environment | {"PULUMI_CONFIG_PASSPHRASE": "right"}
        Engine(right, STACK, project.folder).ensure_stack(select=False)
        check(right, project, "passphrase")
        with pytest.raises(UserError, match="incorrect passphrase"):
            check(environment | {"PULUMI_CONFIG_PASSPHRASE": "wrong"}, project, "passphrase")
    finally:
        project.stack_path(STACK).unlink(missing_ok=True)


def test_a_key_service_takes_the_place_of_the_passphrase_and_the_stack_remembers_it(
    environment: dict[str, str], project: Project, key_service: dict[str, str]
) -> None:
    shell = environment | key_service
    engine = Engine(shell, STACK, project.folder)
    try:
        check(shell, project, KEY_SERVICE)
        assert engine.stacks() == []
        engine.ensure_stack(select=False, secrets_provider=KEY_SERVICE)
        file = StackFile(STACK, project.folder / "stacks")
        assert file.secrets_provider == KEY_SERVICE and "encryptedkey" in file.secrets()
        check(shell, project, KEY_SERVICE)  # of a `create` that resumes
        file.forget_stack()
        file.write()
        assert StackFile(STACK, project.folder / "stacks").secrets() == {"secretsprovider": KEY_SERVICE}
        check(shell, project, KEY_SERVICE)
    finally:
        project.stack_path(STACK).unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("provider", "reason"),
    [(f"awskms://alias/none?region={REGION}", "alias/none is not found"), ("kms://x", "unknown secrets provider")],
)
def test_a_key_service_that_cannot_be_used_is_named_with_the_reason(
    environment: dict[str, str], project: Project, key_service: dict[str, str], provider: str, reason: str
) -> None:
    with pytest.raises(UserError) as refused:
        check(environment | key_service, project, provider)
    assert provider in str(refused.value) and reason in str(refused.value)
