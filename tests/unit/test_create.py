"""`create`: what it writes, in which order, and how it is taken up again; what it asks of the cloud is the e2e tests' matter."""

from pathlib import Path
from typing import Any

import jwt
import pytest
from click.testing import CliRunner, Result

from components.errors import UserError
from scripts import create as module
from scripts import stackfile
from scripts.applied import BUCKET_TYPE, TENANT_TYPE
from scripts.providers import Provider
from tests.unit.given import settings

CLOUD = {name: value for name, value in settings().items() if name not in ("tenants", "dataApi")}


class Engine:
    """In place of the engine: it notes what it is asked for, and fails as it is told to."""

    made: list[str] = []
    applied: list[dict[str, object]] = []
    finished = False
    fails = False

    def __init__(self, environment: object, instance: str) -> None:
        self.instance = instance

    def stacks(self) -> list[str]:
        return self.made

    def has_succeeded(self) -> bool:
        return self.finished

    def state(self) -> list[dict[str, object]]:
        return self.applied

    def ensure_stack(self) -> None:
        self.made.append(self.instance)

    def up(self, aws: object, cluster: object) -> None:
        if self.fails:
            raise UserError("the update failed")


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[Engine]:
    engine = type("Engine", (Engine,), {"made": []})
    monkeypatch.setattr(stackfile.StackFile.__init__, "__defaults__", (tmp_path,))
    monkeypatch.setattr(module, "Engine", engine)
    monkeypatch.setattr(module, "provider", lambda name, **options: Provider({}, CLOUD))
    monkeypatch.setattr(module, "reached", lambda environment, config: (None, None))
    for name in ("require_cluster", "_await_answers", "_show"):
        monkeypatch.setattr(module, name, lambda *arguments: None)
    monkeypatch.chdir(tmp_path)
    return engine


def create(*options: str) -> Result:
    return CliRunner().invoke(module.create, ["local", "showdown", *options])


def kid(tenant: str) -> Any:
    return jwt.get_unverified_header(Path(f"tenant-api-token-{tenant}").read_text())["kid"]


def trusted(folder: Path) -> list[str]:
    return [*stackfile.StackFile("showdown", folder).config().data_api.public_keys]


def test_a_create_that_failed_is_taken_up_with_a_new_key_and_new_tokens(cloud: type[Engine], tmp_path: Path) -> None:
    cloud.fails = True
    assert str(create("--tenant", "default").exception) == "the update failed"
    first = kid("default")
    assert trusted(tmp_path) == [first] == [kid("system")]
    assert Path("tenant-api-token-default").stat().st_mode & 0o777 == 0o600

    cloud.fails = False
    done = create("--tenant", "default")
    assert done.exit_code == 0, done
    assert kid("default") == kid("system") != first and trusted(tmp_path) == [kid("default")]


def test_an_instance_that_is_finished_is_not_created_again(cloud: type[Engine], tmp_path: Path) -> None:
    assert create("--tenant", "default").exit_code == 0
    before, token = (tmp_path / "Pulumi.showdown.yaml").read_text(), kid("default")
    cloud.finished = True
    assert "is there already" in str(create("--tenant", "default").exception)
    assert (tmp_path / "Pulumi.showdown.yaml").read_text() == before and kid("default") == token


def test_a_create_that_is_taken_up_again_deletes_no_tenant_s_data(cloud: type[Engine], tmp_path: Path) -> None:
    urn = "urn::tenant-ops"
    bucket = {"urn": f"{urn}-logs-bucket", "type": BUCKET_TYPE, "parent": urn, "id": "x"}
    cloud.applied = [{"urn": urn, "type": TENANT_TYPE}, bucket]
    assert "this would also delete ops with all data" in str(create("--tenant", "default").exception)
    assert not (tmp_path / "Pulumi.showdown.yaml").exists() and cloud.made == []


def test_nothing_trusts_a_key_before_its_tokens_are_written(
    cloud: type[Engine], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_secret", fail)
        assert isinstance(create("--tenant", "default").exception, OSError)
    assert not (tmp_path / "Pulumi.showdown.yaml").exists() and cloud.made == []


def test_tenants_come_from_the_stack_s_file_too_and_there_has_to_be_one(cloud: type[Engine], tmp_path: Path) -> None:
    assert "no tenant is named" in str(create().exception)
    file = stackfile.StackFile("showdown", tmp_path)
    file.set("tenants", [{"name": "shop"}])
    file.write()
    assert create("--tenant", "default").exit_code == 0
    assert kid("shop") == kid("default") == kid("system")
    assert [entry.name for entry in stackfile.StackFile("showdown", tmp_path).config().tenants] == ["shop", "default"]
