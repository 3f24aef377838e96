"""`create`: its files, their order, and how it resumes. The e2e tests cover its requests to the cloud."""

from pathlib import Path
from typing import Any

import jwt
import pytest
from click.testing import Result

from components.core import images
from components.core.errors import UserError
from components.core.public_keys import canonical_pem, key_id
from components.core.resource_names import BUCKET_TYPE, TENANT_TYPE
from scripts.cli.create import create as create_command
from scripts.clients.providers import Provider, Start
from scripts.context.context import Context, Patience
from scripts.stackfile.file import StackFile, literal
from scripts.tokens.key_files import new_key
from scripts.tokens.signing import Grant, Signer
from tests.support.contexts import FakeContext, WithoutProvider, invoke
from tests.support.factories import KEY, PAIR, settings
from tests.support.full_disk import fill_disk

CLOUD = {name: value for name, value in settings().items() if name not in ("tenants", "dataApi")}


class Engine:
    """A stand-in for the engine. It records the calls, and fails where a test lets it fail."""

    def __init__(self, stacks: Path) -> None:
        self.instance = "showdown"
        self.created: list[str] = []
        self.applied: list[dict[str, Any]] = []
        self.finished = False
        self.fails = self.undecryptable = False
        self.tried: list[tuple[dict[str, str], str | None]] = []
        self.context = FakeContext(stacks, lambda stack: self, provider=Provider({}, CLOUD))

    def stacks(self) -> list[str]:
        return self.created

    def has_succeeded(self) -> bool:
        return self.finished

    def state(self) -> list[dict[str, Any]]:
        return self.applied

    def require_secrets_provider(self, recorded: dict[str, str], provider: str | None) -> None:
        self.tried.append((recorded, provider))
        if self.undecryptable:
            raise UserError("no passphrase")

    def ensure_stack(self, *, secrets_provider: str | None) -> None:
        self.created.append(self.instance)
        self.secrets_provider = secrets_provider

    def up(self, aws: object, cluster: object) -> None:
        if self.fails:
            raise UserError("the update failed")


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Engine:
    monkeypatch.chdir(tmp_path)
    return Engine(tmp_path)


def create(cloud: Engine, *options: str, provider: str = "local") -> Result:
    return invoke(cloud.context, create_command, provider, "showdown", *options)


def kid(tenant: str) -> Any:
    return jwt.get_unverified_header(Path(f"tenant-api-token-{tenant}").read_text())["kid"]


def trusted(folder: Path) -> list[str]:
    return [*StackFile("showdown", folder).config().data_api.public_keys]


def test_a_create_that_failed_is_taken_up_with_a_new_key_and_new_tokens(cloud: Engine, tmp_path: Path) -> None:
    cloud.fails = True
    assert str(create(cloud, "--tenant", "default").exception) == "the update failed"
    first = kid("default")
    assert trusted(tmp_path) == [first] == [kid("system")]
    assert Path("tenant-api-token-default").stat().st_mode & 0o777 == 0o600

    cloud.fails = False
    done = create(cloud, "--tenant", "default")
    assert done.exit_code == 0, done
    assert kid("default") == kid("system") != first and trusted(tmp_path) == [kid("default")]


def test_create_names_the_licence_of_loki_in_one_line_before_anything_else(cloud: Engine, tmp_path: Path) -> None:
    cloud.fails = True
    first, *others = create(cloud, "--tenant", "default").stderr.splitlines()
    assert "Loki" in first and "AGPL-3.0" in first and "NOTICE" in first
    assert not [line for line in others if "AGPL" in line]


def test_create_asks_whether_policies_are_enforced_before_it_writes_anything(cloud: Engine, tmp_path: Path) -> None:
    unset = {name: value for name, value in CLOUD["cluster"].items() if name != "enforcesNetworkPolicies"}
    cloud.context = FakeContext(tmp_path, lambda stack: cloud, provider=Provider({}, CLOUD | {"cluster": unset}))
    done = create(cloud, "--tenant", "default", provider="aws")
    assert "opstrace:cluster.enforcesNetworkPolicies: is required on AWS" in str(done.exception)
    assert [*tmp_path.iterdir()] == [] and not cloud.created


def test_create_writes_the_name_of_the_instance_and_refuses_a_file_of_another(cloud: Engine, tmp_path: Path) -> None:
    assert create(cloud, "--tenant", "default").exit_code == 0
    path = tmp_path / "Pulumi.showdown.yaml"
    assert StackFile("showdown", tmp_path).config().name == "showdown"
    path.write_text(path.read_text().replace("opstrace:name: showdown", "opstrace:name: other"))
    cloud.created.clear()
    before = path.read_text()
    assert "this is the stack of other, but it is named showdown" in str(create(cloud).exception)
    assert path.read_text() == before


def interrupted(cloud: Engine, folder: Path) -> str:
    """Leave the files of a failed `create`, and one more trusted key; return the id of the key of `create`."""
    cloud.fails = True
    assert str(create(cloud, "--tenant", "default").exception) == "the update failed"
    file = StackFile("showdown", folder)
    file.public_keys()[key_id(KEY)] = literal(canonical_pem(KEY) + "\n")
    file.write()
    cloud.fails = False
    return str(kid("default"))


def forged(key_id: str) -> str:
    """Return a token that names a key, but that another key has signed."""
    claims = jwt.decode(
        Signer(PAIR).token(Grant(instance="showdown", tenant="default")), options={"verify_signature": False}
    )
    return jwt.encode(claims, new_key(), algorithm="RS256", headers={"kid": key_id})


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (forged(key_id(KEY)), f"it was not signed by the key {key_id(KEY)}"),
        # Everyone who has a token of the key can put it there. `create` did not make it.
        (Signer(PAIR).token(Grant(instance="showdown", tenant="default")), f"The key {key_id(KEY)} then stays trusted"),
        (Signer(PAIR).token(Grant(instance="other", tenant="default")), "is no token of showdown"),
        ("not a token", "is no token of showdown"),
    ],
    ids=["forged", "made by another command", "another instance's", "no token"],
)
def test_no_file_in_the_folder_takes_a_key_out_that_create_did_not_make(
    cloud: Engine, tmp_path: Path, token: str, message: str
) -> None:
    first = interrupted(cloud, tmp_path)
    before = (tmp_path / "Pulumi.showdown.yaml").read_text()
    place = Path("tenant-api-token-system")
    place.write_text(token)
    refused = create(cloud, "--tenant", "default")
    assert isinstance(refused.exception, UserError) and message in str(refused.exception)
    assert (tmp_path / "Pulumi.showdown.yaml").read_text() == before and place.read_text() == token
    place.rename("elsewhere")
    assert create(cloud, "--tenant", "default").exit_code == 0
    assert {*trusted(tmp_path)} == {key_id(KEY), kid("default")} and first not in trusted(tmp_path)


def test_a_token_that_no_trusted_key_has_signed_takes_no_key_out_and_is_replaced(cloud: Engine, tmp_path: Path) -> None:
    """The case of a `create` that was killed after it wrote tokens, and before it wrote their key to the stack file."""
    first = interrupted(cloud, tmp_path)
    for tenant in ("default", "system"):
        Path(f"tenant-api-token-{tenant}").write_text(
            Signer(new_key()).token(Grant(instance="showdown", tenant=tenant))
        )
    assert create(cloud, "--tenant", "default").exit_code == 0
    assert {*trusted(tmp_path)} == {first, key_id(KEY), kid("default")}


def test_an_instance_that_is_finished_is_not_created_again(cloud: Engine, tmp_path: Path) -> None:
    assert create(cloud, "--tenant", "default").exit_code == 0
    before, token = (tmp_path / "Pulumi.showdown.yaml").read_text(), kid("default")
    cloud.finished = True
    assert "exists already" in str(create(cloud, "--tenant", "default").exception)
    assert (tmp_path / "Pulumi.showdown.yaml").read_text() == before and kid("default") == token


def finished(cloud: Engine, *silent: int | None) -> None:
    """Finish the instance; the gateway answers with these statuses first, then with 200."""
    assert create(cloud, "--tenant", "default").exit_code == 0
    cloud.finished = True
    cloud.applied = [{"urn": f"urn::{name}", "type": TENANT_TYPE} for name in ("tenant-default", "system")]
    answers(cloud, *silent)


def answers(cloud: Engine, *first: int | None) -> None:
    statuses = iter(first)
    cloud.context.http_status = lambda *_: next(statuses, 200)  # type: ignore[method-assign]  # the test's gateway


def test_a_finished_instance_that_does_not_answer_yet_is_waited_for_and_shown(cloud: Engine, tmp_path: Path) -> None:
    finished(cloud, None, None, 503)
    before, token = (tmp_path / "Pulumi.showdown.yaml").read_text(), kid("default")
    cloud.created, cloud.fails = ["showdown"], True  # another update would fail
    done = create(cloud, "--tenant", "default")
    assert done.exit_code == 0, done
    assert "has succeeded, but default does not answer yet" in done.stderr
    assert "https://cortex.default.showdown.example.com" in done.stderr and "Try it:" in done.stderr
    assert (tmp_path / "Pulumi.showdown.yaml").read_text() == before and kid("default") == token


@pytest.mark.parametrize(
    ("wait", "collectors", "told"),
    [
        (None, {}, "The cluster's own logs and metrics follow in the tenant system.\n"),
        ("once their program is built", {}, "follow in the tenant system once their program is built.\n"),
        (None, {"logs": False}, "The cluster's own metrics follow in the tenant system.\n"),
        (None, {"metrics": False}, "The cluster's own logs follow in the tenant system.\n"),
        ("once their program is built", {"logs": False, "metrics": False}, ""),
    ],
)
def test_create_does_not_wait_for_the_collectors_and_says_so(
    cloud: Engine, tmp_path: Path, wait: str | None, collectors: dict[str, bool], told: str
) -> None:
    provider = Provider({}, CLOUD | {"collectors": collectors}, collectors_wait=wait)
    cloud.context = FakeContext(tmp_path, lambda _: cloud, provider=provider)
    done = create(cloud, "--tenant", "default")
    assert done.exit_code == 0 and told in done.stderr
    assert ("tenant system" in done.stderr) == bool(told)


def test_a_finished_instance_is_waited_for_where_its_token_files_are_not(
    cloud: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(cloud, None, 503, 401, 401)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    done = create(cloud)
    assert done.exit_code == 0 and [*Path().iterdir()] == []
    assert "where the first `create` ran" in done.stderr and "Try it" not in done.stderr


def test_a_finished_instance_is_not_waited_for_where_a_tenant_needs_an_update(cloud: Engine) -> None:
    finished(cloud, None)
    for options in (("--tenant", "shop"), ()):
        cloud.applied = cloud.applied if options else cloud.applied[1:]
        assert "exists already" in str(create(cloud, *options).exception)


def test_create_says_what_is_missing_until_it_gives_up(cloud: Engine) -> None:
    cloud.context.first_answers = Patience(total=0.5, before=0, between=0)
    answers(cloud, *[None] * 1000)
    refused = create(cloud, "--tenant", "default")
    assert "  … missing: gateway: the Deployment is missing" in refused.stderr
    assert isinstance(refused.exception, UserError)
    text = str(refused.exception)
    assert "tenant default: cortex is missing" in text and "run the same command again" in text and "not at all" in text


def test_create_waits_longer_than_a_load_balancer_of_aws_takes(tmp_path: Path) -> None:
    assert Context(tmp_path).first_answers.total == 15 * 60


def test_a_create_that_is_taken_up_again_deletes_no_tenant_s_data(cloud: Engine, tmp_path: Path) -> None:
    urn = "urn::tenant-ops"
    bucket = {"urn": f"{urn}-logs-bucket", "type": BUCKET_TYPE, "parent": urn, "id": "x"}
    cloud.applied = [{"urn": urn, "type": TENANT_TYPE}, bucket]
    assert "this would also delete ops with all data" in str(create(cloud, "--tenant", "default").exception)
    assert not (tmp_path / "Pulumi.showdown.yaml").exists() and cloud.created == []


def test_nothing_trusts_a_key_before_its_tokens_are_written(
    cloud: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        fill_disk(patch, "tenant-api-token-system")
        refused = create(cloud, "--tenant", "default").exception
    assert isinstance(refused, UserError) and "No space left on device" in str(refused)
    assert not (tmp_path / "Pulumi.showdown.yaml").exists() and cloud.created == []


def test_tenants_come_from_the_stack_s_file_too_and_there_has_to_be_one(cloud: Engine, tmp_path: Path) -> None:
    assert "no tenant is named" in str(create(cloud).exception)
    file = StackFile("showdown", tmp_path)
    file.set("tenants", [{"name": "shop"}])
    file.write()
    assert create(cloud, "--tenant", "default").exit_code == 0
    assert kid("shop") == kid("default") == kid("system")
    assert [entry.name for entry in StackFile("showdown", tmp_path).config().tenants] == ["shop", "default"]


KEY_SERVICE = "awskms://alias/state?region=us-west-2"


def test_create_writes_nothing_where_secrets_cannot_be_encrypted(cloud: Engine, tmp_path: Path) -> None:
    cloud.undecryptable = True
    assert str(create(cloud, "--tenant", "default", provider="aws").exception) == "no passphrase"
    assert [*tmp_path.iterdir()] == [] and cloud.created == []
    assert cloud.tried == [({}, None)]


def test_create_gives_the_secrets_provider_to_the_stack_and_takes_the_one_in_the_file(
    cloud: Engine, tmp_path: Path
) -> None:
    options = ("--tenant", "default")
    assert create(cloud, *options, "--secrets-provider", KEY_SERVICE, provider="aws").exit_code == 0
    assert cloud.secrets_provider == KEY_SERVICE and cloud.tried == [({}, KEY_SERVICE)]
    path = tmp_path / "Pulumi.showdown.yaml"
    path.write_text(f"secretsprovider: {KEY_SERVICE}\nencryptedkey: of-this-stack\n{path.read_text()}")  # as the engine
    recorded = {"secretsprovider": KEY_SERVICE, "encryptedkey": "of-this-stack"}
    for more in ((), ("--secrets-provider", KEY_SERVICE)):
        assert create(cloud, *options, *more, provider="aws").exit_code == 0
        assert cloud.tried[-1] == (recorded, KEY_SERVICE)
    refused = create(cloud, *options, "--secrets-provider", "awskms://alias/other", provider="aws").exception
    assert isinstance(refused, UserError) and "change-secrets-provider" in str(refused)
    cloud.created.clear()  # the stack is gone, and the file has been kept
    assert create(cloud, *options, provider="aws").exit_code == 0
    assert cloud.secrets_provider == KEY_SERVICE and "encryptedkey" not in path.read_text()


def test_the_embedded_cloud_has_its_own_passphrase(cloud: Engine, tmp_path: Path) -> None:
    cloud.context = WithoutProvider(tmp_path)
    refused = create(cloud, "--tenant", "default", "--secrets-provider", KEY_SERVICE).exception
    assert isinstance(refused, UserError) and "belongs to the provider `aws`" in str(refused)
    assert [*tmp_path.iterdir()] == [] and cloud.tried == []


def test_create_aws_names_each_image_that_is_not_pinned(cloud: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "DIGESTS", {images.LOKI_IMAGE: f"sha256:{'a' * 64}"})
    output = create(cloud, "--tenant", "default", provider="aws").stderr
    assert "not pinned by digest" in output and images.CORTEX_IMAGE in output and images.ENVOY_IMAGE in output
    assert images.LOKI_IMAGE not in output


def test_create_says_nothing_of_images_where_all_are_pinned_or_made_here(
    cloud: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "pinned" not in create(cloud, "--tenant", "default").stderr
    monkeypatch.setattr(images, "DIGESTS", dict.fromkeys(images.IMAGES, f"sha256:{'a' * 64}"))
    assert "pinned" not in create(cloud, "--tenant", "default", provider="aws").stderr


@pytest.mark.parametrize("given", [(), ("--official-plugins",), ("--trust-release-host", "--context=kind")])
def test_create_passes_on_how_to_start_the_embedded_cloud(
    cloud: Engine, given: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[Start | None] = []

    def provider(name: str, start: Start | None = None) -> Provider:
        starts.append(start)
        return Provider({}, CLOUD)

    monkeypatch.setattr(cloud.context, "provider", provider)
    create(cloud, "--tenant", "default", *given)
    context = "kind" if "--context=kind" in given else None
    assert starts == [Start(context, "--official-plugins" in given, "--trust-release-host" in given)]
