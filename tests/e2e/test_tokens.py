"""Scopes, revocation and limited keys at the real gateway, by the commands of the pages on keys and tokens."""

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from components.core.names import GATEWAY_NAMESPACE
from components.core.public_keys import key_id
from components.gateway.gateway import REPLICAS
from components.gateway.watched_files import TOKEN
from scripts.tokens.key_files import read_key_pair
from tests.support.polling import eventually
from tests.support.user_session import INSTANCE, LABELS, UserSession, commands, unseen, url

PAGES = ("how-to/give-a-team-a-key.md", "how-to/revoke-a-token.md", "how-to/rotate-a-key.md")  # followed in this order
BAD = "bad authentication token"
IN_FORCE_SECONDS = 90
CURRENT = f"""import json, sys
pods = json.load(sys.stdin)["gatewayPods"].values()
sys.exit(not (len(pods) == {REPLICAS} and all(pod and pod["current"] for pod in pods)))"""
# A pod that does not answer may have the earlier keys, so its line in `status` is not enough.
WAIT = f"until ./opstrace status local showdown --json | python3 -c '{CURRENT}'; do sleep 1; done\n"


def everywhere(walk: UserSession, address: str, token: str, answer: tuple[int, str]) -> bool:
    """Return whether both of the gateway's pods give this answer; a request goes to one of them."""
    return all(walk.curl(address, token=token) == answer for _ in range(15))


@contextmanager
def nobody_misses(walk: UserSession, token: str) -> Iterator[None]:
    """Send requests with a good token until the test ends, and fail if any answer is not 200."""
    stop, answers = threading.Event(), []

    def ask() -> None:
        while not stop.is_set():
            answers.append(walk.curl(url("cortex", "default", LABELS), token=token)[0])

    thread = threading.Thread(target=ask)
    thread.start()
    yield
    stop.set()
    thread.join()
    assert len(answers) > 20 and {*answers} == {200}


def test_a_token_for_reading_cannot_push_and_one_for_writing_cannot_read(walk: UserSession, trusted_pair: str) -> None:
    def token(scope: str) -> str:
        return str(walk.opstrace("ta-create-token", INSTANCE, "default", trusted_pair, "--scope", scope).stdout)

    reading, writing = token("metrics:read,logs:read"), token("metrics:write,logs:write")
    labels, metrics_push = url("cortex", "default", LABELS), url("cortex", "default", "/api/v1/push")
    assert walk.curl(labels, token=reading)[0] == 200 and walk.push_line("default", "x", writing, "tokens")[0] == 204
    assert walk.push_line("default", "x", reading, "tokens") == (401, f"{BAD}: scope does not cover logs:write")
    assert walk.curl(metrics_push, "-d", "x", token=reading) == (401, f"{BAD}: scope does not cover metrics:write")
    assert walk.curl(labels, token=writing) == (401, f"{BAD}: scope does not cover metrics:read")


@pytest.fixture
def many_revoked(walk: UserSession) -> Iterator[None]:
    """A list of 10,000 revoked tokens in the stack file until the test ends."""
    file = walk.stack_file()
    file.set_revoked_tokens({str(uuid.uuid4()): "2099-01-01T00:00:00Z" for _ in range(9_999)})
    file.write()
    yield
    file = walk.stack_file()
    file.set_revoked_tokens({})
    file.write()


@pytest.mark.usefixtures("many_revoked")
def test_a_revoked_token_is_refused_within_90_s_and_no_other_misses_a_request(
    walk: UserSession, trusted_pair: str
) -> None:
    lost, good = (walk.opstrace("ta-create-token", INSTANCE, "default", trusted_pair).stdout for _ in range(2))
    (walk.folder / "lost.jwt").write_text(lost)
    labels = url("cortex", "default", LABELS)
    assert walk.curl(labels, token=lost)[0] == 200
    with nobody_misses(walk, good):
        walk.opstrace("ta-revoke-token", "local", INSTANCE, "lost.jwt")
        eventually(lambda: everywhere(walk, labels, lost, (401, f"{BAD}: revoked")), IN_FORCE_SECONDS)
    inspected = walk.opstrace("ta-inspect-token", "lost.jwt", "local", INSTANCE, check=False)
    assert inspected.returncode == 1 and "it was revoked" in inspected.stderr


@pytest.fixture
def bad_keys(walk: UserSession) -> Iterator[None]:
    """Replace the gateway's file of keys by an invalid one until the test ends."""

    def put(text: str) -> None:
        patch = json.dumps({"data": {TOKEN.file: text}})
        walk.kubectl("-n", GATEWAY_NAMESPACE, "patch", "configmap", "gateway-keys", "--type", "merge", "-p", patch)

    config_map = walk.kubectl("-n", GATEWAY_NAMESPACE, "get", "configmap", "gateway-keys", "-o", "json")
    put("{")
    yield
    put(json.loads(config_map)["data"][TOKEN.file])
    eventually(lambda: "REFUSED" not in walk.opstrace("status", "local", INSTANCE).stdout)


@pytest.mark.usefixtures("bad_keys")
def test_an_invalid_file_of_keys_shows_in_status_and_changes_nothing(walk: UserSession, trusted_pair: str) -> None:
    def refusing() -> list[str]:
        output = walk.opstrace("status", "local", INSTANCE).stdout.splitlines()
        return [line for line in output if line.endswith("it REFUSED what came last")]

    eventually(lambda: len(refusing()) == 2)
    kid = key_id(read_key_pair(Path(trusted_pair)).public_key())
    assert all(kid in line for line in refusing())
    labels, token = url("cortex", "default", LABELS), walk.token("default")
    assert everywhere(walk, labels, token, walk.curl(labels, token=token))


def test_a_limited_key_opens_its_own_tenant_alone(walk: UserSession) -> None:
    walk.opstrace("ta-create-keypair", "team.pem")
    walk.opstrace("ta-pubkeys-add", "local", INSTANCE, "team.pem", "--tenant", "default", "--scope", "logs:write")
    own, other = (
        walk.opstrace("ta-create-token", INSTANCE, tenant, "team.pem").stdout for tenant in ("default", "system")
    )
    labels = url("cortex", "system", LABELS)
    refused = (401, f"{BAD}: its key may not speak for this tenant")
    eventually(lambda: everywhere(walk, labels, other, refused), IN_FORCE_SECONDS)
    assert walk.push_line("default", "x", own, "tokens")[0] == 204
    assert walk.curl(url("cortex", "default", LABELS), token=own) == (
        401,
        f"{BAD}: its key does not cover metrics:read",
    )
    secret = walk.aws("secretsmanager").get_secret_value(SecretId=f"opstrace/{INSTANCE}/data-api-key-limits")
    (limits,) = json.loads(secret["SecretString"]).values()
    assert limits == {"tenants": ["default"], "scopes": ["logs:write"]}
    (kid,) = json.loads(secret["SecretString"])
    walk.opstrace("ta-pubkeys-remove", "local", INSTANCE, kid)


def test_the_commands_of_the_pages_on_keys_and_tokens_do_what_they_say(walk: UserSession, keys_as_before: None) -> None:
    blocks = [block for page in PAGES for block in commands(page)]
    assert len(blocks) == 14
    (check,) = (number for number, block in enumerate(blocks) if "status local" in block)
    blocks.insert(check, WAIT)  # as the page says
    folder, output = walk.follow(["exec 2>&1\n", *blocks])
    assert [line for page in PAGES[:2] for line in unseen(page, "", output)] == []
    assert f"{INSTANCE} accepts it" in output and "Grafana" in output and '"notAfter"' in output
    assert len(list((folder / "batch").iterdir())) == 3
    assert_modes(folder)
    rotated = (folder / "rotated" / f"{INSTANCE}-default.jwt").read_text()
    labels = url("cortex", "default", LABELS)
    eventually(lambda: walk.curl(labels, token=rotated)[0] == 200, IN_FORCE_SECONDS)
    eventually(lambda: everywhere(walk, labels, (folder / "default.jwt").read_text(), (401, BAD)), IN_FORCE_SECONDS)


def assert_modes(folder: Path) -> None:
    """Fail if other users can read a key pair or a token."""
    files = [*folder.glob("*.pem"), *folder.rglob("*.jwt")]
    assert len(files) > 8
    for path in files:
        assert path.stat().st_mode & 0o777 == 0o600, path
