"""Fixtures of the e2e tests beside the instance."""

from collections.abc import Iterator

import pytest

from components.collectors.rules import mounted
from components.collectors.rules.storage import STANDS_STILL
from components.core.names import SYSTEM, namespace
from tests.support.platform_rules import impatient_rules
from tests.support.polling import eventually
from tests.support.user_session import INSTANCE, LABELS, UserSession, gateway_is_current, url


@pytest.fixture(scope="module")
def printed() -> list[str]:
    """The output of a module's commands so far, to compare it with a page of docs/."""
    return []


@pytest.fixture
def keys_as_before(walk: UserSession) -> Iterator[None]:
    before = walk.opstrace("ta-pubkeys-list", "local", INSTANCE).stdout.split()
    yield
    for kid in walk.opstrace("ta-pubkeys-list", "local", INSTANCE).stdout.split():
        if kid not in before:
            walk.opstrace("ta-pubkeys-remove", "local", INSTANCE, kid)


@pytest.fixture
def file_as_before(walk: UserSession) -> Iterator[None]:
    """Restore the stack file after a test, and apply it."""
    before = walk.stack_path.read_text()
    yield
    walk.stack_path.write_text(before)
    walk.pulumi("up", "--yes", "--skip-preview")
    eventually(lambda: gateway_is_current(walk), 90)

    def answered(tenant: str) -> bool:
        return walk.curl(url("cortex", tenant, LABELS), token=walk.token(tenant))[0] == 200

    eventually(lambda: answered("default") and answered("system"))


@pytest.fixture
def impatient(walk: UserSession) -> Iterator[None]:
    """The platform's alerts once more, as the operator's own rules: without a wait, and evaluated often."""
    file = walk.folder / "impatient.yaml"
    file.write_text(impatient_rules(5, STANDS_STILL))
    place = ("-n", namespace(SYSTEM))
    walk.kubectl(*place, "create", "configmap", mounted.OWN, f"--from-file={file}")
    yield
    walk.kubectl(*place, "delete", "configmap", mounted.OWN)
