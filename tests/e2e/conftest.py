"""What the e2e tests share beside the instance."""

from collections.abc import Iterator

import pytest

from tests.e2e.walk import INSTANCE, LABELS, STACK_FILE, Walk, eventually, url


@pytest.fixture
def keys_as_before(walk: Walk) -> Iterator[None]:
    before = walk.opstrace("ta-pubkeys-list", "local", INSTANCE).stdout.split()
    yield
    for kid in walk.opstrace("ta-pubkeys-list", "local", INSTANCE).stdout.split():
        if kid not in before:
            walk.opstrace("ta-pubkeys-remove", "local", INSTANCE, kid)


@pytest.fixture
def file_as_before(walk: Walk) -> Iterator[None]:
    """Whatever a test does to the stack's file, it is undone and applied."""
    before = STACK_FILE.read_text()
    yield
    STACK_FILE.write_text(before)
    walk.pulumi("up", "--yes", "--skip-preview")

    def everywhere(tenant: str) -> bool:
        asked, token = url("cortex", tenant, LABELS), walk.token(tenant)
        return all(walk.curl(asked, token=token)[0] == 200 for _ in range(8))

    eventually(lambda: everywhere("default") and everywhere("system"), 90)
