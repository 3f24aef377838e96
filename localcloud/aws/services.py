"""The programs of the embedded AWS: its API, and the load balancer and the name server that follow it."""

import json
from collections.abc import Mapping

from localcloud.aws import account
from localcloud.aws.dns import write_zone_dns
from localcloud.aws.edge import CHANGED, CLUSTERS, LISTENERS, envoy_bootstrap
from localcloud.files import write_whole
from localcloud.pki import Authority, write_pair
from localcloud.settings import REGION, STS_HOST, Settings
from localcloud.supervisor import Service, answers, wait


def write_files(settings: Settings) -> None:
    """Write what the services read when they start."""
    edge = settings.node / "edge"
    edge.mkdir(exist_ok=True, mode=0o700)
    names = [STS_HOST, "127.0.0.1", "localhost", settings.aws_address]
    write_pair(settings.node / "aws", Authority.load_or_create(settings.pki).issue("aws", names=names))
    write_whole(edge / "envoy.json", json.dumps(envoy_bootstrap(settings)))
    for name in (CLUSTERS, LISTENERS):
        write_whole(edge / name, '{"resources": []}')
    write_zone_dns(settings, {}, [])


def make_account(settings: Settings, api: Service) -> None:
    """Wait for the API and fill the account with what an instance finds there; its ids go to `node/account.json`."""
    wait("the AWS API", api.ready)
    write_whole(settings.node / "account.json", json.dumps(account.create(settings)))


def api(settings: Settings, python: str) -> Service:
    """Return the API itself; all others need it."""
    files = [str(settings.node / "aws.pem"), str(settings.node / "aws-key.pem"), str(settings.node / "edge" / CHANGED)]
    return Service(
        "aws",
        [python, "-m", "localcloud.aws.server", settings.aws_address, *files],
        answers(f"{settings.aws_endpoint}/moto-api/data.json"),
        {"MOTO_ACM_VALIDATION_WAIT": "1", "MOTO_EC2_LOAD_DEFAULT_AMIS": "true"},
    )


def followers(settings: Settings, programs: Mapping[str, str], python: str) -> list[Service]:
    """Return what makes real what the API was told. `programs` maps each tool's name to the folder of its programs."""
    edge = settings.node / "edge"
    return [
        Service("edge", [python, "-m", "localcloud.aws.edge", str(settings.home), str(settings.slot)]),
        Service(
            "load-balancer",
            [
                *(f"{programs['envoy']}/envoy", "--config-path", f"{edge}/envoy.json"),
                # Without hot restart: what that keeps in /dev/shm would outlive a killed process.
                *("--disable-hot-restart", "--log-level", "warn", "--concurrency", "1"),
            ],
            on_host_network=True,
        ),
        Service(
            "route53",
            [f"{programs['coredns']}/coredns", "-conf", f"{edge}/Corefile"],
            environment={
                **{name.upper(): value for name, value in account.CREDENTIALS.items()},
                "AWS_REGION": REGION,
                "AWS_ENDPOINT_URL_ROUTE_53": settings.aws_endpoint,
            },
            on_host_network=True,
        ),
    ]
