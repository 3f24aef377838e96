"""What several tests of the engine share: a gateway that runs; an instance on a bare cloud."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from components.tenant_config import TenantSettings
from tests.engine.backend import Backend
from tests.engine.bare import BareCloud
from tests.engine.faults import Faults
from tests.engine.gateway import BackEnd, Gateway
from tests.engine.stack import STACK_FILE, Stack, Undisturbed


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    started: list[subprocess.Popen[bytes]] = []
    back_end = BackEnd()
    yield Gateway(tmp_path, back_end, started)
    back_end.close()
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture(scope="package")
def s3() -> Iterator[tuple[str, Any]]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    client = boto3.client("s3", "us-west-2", endpoint_url=url, aws_access_key_id="test", aws_secret_access_key="test")
    for bucket in ("metrics", "config", "logs"):
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    yield url, client
    server.stop()


@pytest.fixture
def backend(s3: tuple[str, Any], tmp_path: Path) -> Iterator[Callable[[str, dict[str, Any]], Backend]]:
    made: list[Backend] = []

    def make(program: str, settings: dict[str, Any]) -> Backend:
        made.append(Backend(program, tmp_path, s3[0], TenantSettings.model_validate(settings)))
        return made[-1]

    yield make
    for entry in made:
        entry.kill()


@pytest.fixture(scope="package")
def bare_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = BareCloud(tmp_path_factory.mktemp("bare"))
    try:
        made.start()
        yield Stack(made)
    finally:
        made.stop()
        STACK_FILE.unlink(missing_ok=True)


@pytest.fixture(scope="package")
def undisturbed(bare_stack: Stack) -> Undisturbed:
    found = Undisturbed(bare_stack)
    found["create"]  # now, while nothing is there
    return found


@pytest.fixture(scope="module")
def faults(bare_stack: Stack, undisturbed: Undisturbed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faults]:
    made = Faults(bare_stack.cloud, tmp_path_factory.mktemp("faults") / "servers")
    yield made
    made.policy = lambda: None
    if bare_stack.resources():  # a test failed before the end
        bare_stack.undisturbed("destroy")
    made.stop()
