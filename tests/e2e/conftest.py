"""One instance for all e2e tests, made and destroyed as a new user would."""

from collections.abc import Iterator

import pytest

from tests.e2e.walk import INSTANCE, LABELS, STACK_FILE, Shell, Walk, assert_account_empty, eventually, url


@pytest.fixture(scope="session")
def walk(cloud: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    STACK_FILE.unlink(missing_ok=True)  # of a run that was killed
    made = Walk(tmp_path_factory.mktemp("user"), cloud)
    said = made.opstrace("create", "local", INSTANCE, "--tenant", "default").stderr
    assert "curl --cacert" in said
    yield made
    made.opstrace("destroy", "local", INSTANCE, "--purge", "--yes")
    assert INSTANCE not in made.opstrace("list", "local").stdout
    assert not STACK_FILE.exists()
    eventually(lambda: made.kubectl("get", "persistentvolumes", "-o", "name") == "")
    assert_account_empty(made)


@pytest.fixture(scope="session")
def trusted_pair(walk: Walk) -> str:
    """A key pair's file whose public half the instance trusts beside its first key."""
    path = walk.folder / "custom-keypair.pem"
    walk.opstrace("ta-create-keypair", str(path))
    walk.opstrace("ta-pubkeys-add", "local", INSTANCE, str(path))
    token = walk.opstrace("ta-create-token", INSTANCE, "default", str(path)).stdout

    def everywhere() -> bool:
        # Each of the gateway's two pods gets the changed ConfigMap in its own time, and each request goes to one of them.
        return all(walk.curl(url("cortex", "default", LABELS), token=token)[0] == 200 for _ in range(15))

    eventually(everywhere, 90)
    return str(path)


@pytest.fixture
def keys_as_before(walk: Walk) -> Iterator[None]:
    before = walk.opstrace("ta-pubkeys-list", "local", INSTANCE).stdout.split()
    yield
    for kid in walk.opstrace("ta-pubkeys-list", "local", INSTANCE).stdout.split():
        if kid not in before:
            walk.opstrace("ta-pubkeys-remove", "local", INSTANCE, kid)
