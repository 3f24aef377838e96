"""Fixtures of the integration tests: a running gateway, back ends, an instance on a bare cloud."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from components.config.tenant import TenantSettings
from components.tenant.back_ends.alertmanager import alerts_policy
from components.tenant.buckets import read_write_policy, tls_only_policy
from components.tenant.iam_role import Issuer, trust_policy
from localcloud.settings import REGION
from tests.support.aws_requests import CONFIG, OTHER, OWN, TENANT, account_of
from tests.support.backend import Backend
from tests.support.bare_cloud import BareCloud
from tests.support.cluster_collector import ClusterCollector
from tests.support.collector_faults import Collectors
from tests.support.embedded_aws import ISSUER, EmbeddedAws
from tests.support.faults import Faults
from tests.support.gateway import Gateway
from tests.support.platform_rules import SystemCortex
from tests.support.ports import free_port
from tests.support.project import Project
from tests.support.recording_server import BackEnd
from tests.support.s3_server import SYSTEM_BUCKET, empty, s3_server
from tests.support.small_disk import SmallDisk
from tests.support.stack import Stack, Uninterrupted
from tests.support.system_tenant import SystemTenant

if TYPE_CHECKING:
    import subprocess


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
    with s3_server() as server:
        yield server


@pytest.fixture
def backend(s3: tuple[str, Any], tmp_path: Path) -> Iterator[Callable[..., Backend]]:
    backends: list[Backend] = []

    def make(
        program: str, settings: dict[str, Any], receivers: Sequence[str] = (), beside: Sequence[Backend] = ()
    ) -> Backend:
        """Return a back end. `receivers` are ranges that settings must not name, such as loopback.

        A back end `beside` others has a folder of its own, and reaches them by the names of their Services.
        """
        parsed = TenantSettings.model_validate(settings)
        if receivers:
            alertmanager = parsed.alertmanager.model_copy(update={"private_receivers": [*receivers]})
            parsed = parsed.model_copy(update={"alertmanager": alertmanager})
        folder = tmp_path / program if beside else tmp_path
        folder.mkdir(exist_ok=True)
        services = {other.name: f"127.0.0.1:{other.port}" for other in beside}
        backends.append(Backend(program, folder, s3[0], parsed, services))
        return backends[-1]

    yield make
    for backend in backends:
        backend.kill()


@pytest.fixture
def system_cortex(s3: tuple[str, Any], tmp_path: Path) -> Iterator[SystemCortex]:
    """The Cortex of the system tenant, with the platform's rules."""
    server = SystemCortex("cortex", tmp_path, s3[0], TenantSettings())
    server.start()
    yield server
    server.kill()
    empty(s3[1], SYSTEM_BUCKET)


@pytest.fixture
def system_tenant() -> Iterator[SystemTenant]:
    """A server in place of the system tenant, which is up."""
    tenant = SystemTenant(free_port())
    tenant.up()
    yield tenant
    tenant.down()


@pytest.fixture
def collectors(tmp_path: Path, system_tenant: SystemTenant) -> Iterator[Collectors]:
    made = Collectors(tmp_path, system_tenant)
    yield made
    made.kill()


@pytest.fixture
def started() -> Iterator[list[ClusterCollector]]:
    """A list of collectors, which are killed after the test."""
    collectors: list[ClusterCollector] = []
    yield collectors
    for collector in collectors:
        collector.kill()


@pytest.fixture
def disk(collectors: Collectors) -> Iterator[Callable[[ClusterCollector], SmallDisk]]:
    disks: list[SmallDisk] = []

    def make(collector: ClusterCollector) -> SmallDisk:
        """Put the queue of a collector on a disk of its own."""
        disks.append(SmallDisk(collector.folder / "queue", 24))
        return disks[-1]

    yield make
    collectors.kill()  # or the disk is in use
    for each in disks:
        each.unmount()


@pytest.fixture(scope="package")
def bare_stack(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    plugins = Path("/usr/libexec/kubernetes")  # the controller manager creates this folder by default
    was_there = plugins.exists()
    cloud = BareCloud(tmp_path_factory.mktemp("bare"))
    try:
        cloud.start()
        yield Stack(cloud, project)
    finally:
        cloud.stop()
    assert plugins.exists() == was_there, f"a bare cloud created {plugins} on this machine"


@pytest.fixture(scope="package")
def uninterrupted(bare_stack: Stack) -> Uninterrupted:
    results = Uninterrupted(bare_stack)
    results["create"]  # runs all phases while nothing is deployed
    return results


@pytest.fixture(scope="module")
def faults(
    bare_stack: Stack, uninterrupted: Uninterrupted, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Faults]:
    proxies = Faults(bare_stack.cloud, tmp_path_factory.mktemp("faults") / "servers")
    yield proxies
    proxies.policy = lambda: None
    if bare_stack.resources():  # a test failed in the middle
        bare_stack.uninterrupted("destroy")
    proxies.stop()


@pytest.fixture(scope="package")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    server = EmbeddedAws(tmp_path_factory.mktemp("aws"))
    s3 = server.client("s3")
    for bucket in (OWN, OTHER, CONFIG):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_policy(Bucket=bucket, Policy=tls_only_policy(bucket))
        for key in ("probe", f"alerts/{TENANT}", "alerts/other", f"rules/{TENANT}"):
            s3.put_object(Bucket=bucket, Key=key, Body=bucket.encode())
    provider = json.loads((server.settings.node / "account.json").read_text())["oidc_provider_arn"]
    issuer = Issuer(provider_arn=provider, url=ISSUER)
    policies = {
        "tenant": read_write_policy([OWN, CONFIG], issuer.account),
        "alertmanager": alerts_policy(TENANT, CONFIG, issuer.account),
    }
    for name, policy in policies.items():
        trust = trust_policy(TENANT, name, issuer)
        server.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust)
        server.client("iam").put_role_policy(RoleName=name, PolicyName="buckets", PolicyDocument=policy)
    yield server
    server.stop()


@pytest.fixture(scope="package")
def tenant(aws: EmbeddedAws) -> dict[str, Any]:
    """The credentials of the role of a tenant's Cortex."""
    return aws.session("tenant", aws.token(account_of(TENANT, "tenant")))


@pytest.fixture(scope="package")
def alertmanager(aws: EmbeddedAws) -> dict[str, Any]:
    return aws.session("alertmanager", aws.token(account_of(TENANT, "alertmanager")))
