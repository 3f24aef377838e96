"""What the e2e tests share beside the instance."""

from collections.abc import Iterator

import pytest

from tests.e2e.walk import INSTANCE, LABELS, STACK_FILE, Walk, current, url
from tests.waiting import eventually


@pytest.fixture(scope="module")
def printed() -> list[str]:
    """What a module's commands have printed by now, to which a page of docs/ is held in the end."""
    return []


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
    eventually(lambda: current(walk), 90)

    def answered(tenant: str) -> bool:
        return walk.curl(url("cortex", tenant, LABELS), token=walk.token(tenant))[0] == 200

    eventually(lambda: answered("default") and answered("system"))
