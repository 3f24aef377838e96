"""The programs of the embedded AWS: its API, and the load balancer and name server that follow the API."""

import json
from collections.abc import Mapping

from moto.core.models import DEFAULT_ACCOUNT_ID

from localcloud.certificate_authority import Authority, write_pair
from localcloud.files import write_whole
from localcloud.moto import account
from localcloud.moto.authorization import credentials
from localcloud.moto.dns import write_zone_dns
from localcloud.moto.load_balancer import CLUSTERS, LISTENERS, envoy_bootstrap
from localcloud.settings import REGION, STS_HOST, Settings
from localcloud.supervisor import Service, wait


def write_files(settings: Settings) -> None:
    """Write the files that the services read when they start."""
    edge = settings.node / "edge"
    edge.mkdir(exist_ok=True, mode=0o700)
    credentials.draw(settings)
    names = [STS_HOST, "127.0.0.1", "localhost", settings.aws_address]
    write_pair(settings.node / "aws", Authority.of(settings).issue("aws", names=names))
    write_whole(edge / "envoy.json", json.dumps(envoy_bootstrap(settings)))
    for name in (CLUSTERS, LISTENERS):
        write_whole(edge / name, '{"resources": []}')
    write_zone_dns(settings, {}, [])


def make_account(settings: Settings, api: Service) -> None:
    """Wait for the API, create the account's initial content, and write its ids to `node/account.json`."""
    wait("the AWS API", api.ready)
    write_whole(settings.node / "account.json", json.dumps(account.create(settings)))


def api(settings: Settings, python: str) -> Service:
    """Return the service of the API, which the other services need."""
    return Service(
        "aws",
        [python, "-P", "-m", "localcloud.moto.server", str(settings.home), str(settings.slot)],
        lambda: account.is_ready(settings),
        {
            "MOTO_ACM_VALIDATION_WAIT": "1",
            "MOTO_EC2_LOAD_DEFAULT_AMIS": "true",
            "MOTO_ACCOUNT_ID": DEFAULT_ACCOUNT_ID,  # else a header of the request could select another account
            "MOTO_DISABLE_GLOBAL_CORS": "true",  # web pages must not read answers
        },
    )


def followers(settings: Settings, programs: Mapping[str, str], python: str) -> list[Service]:
    """Return the services that act on the API's content. `programs` maps each tool's name to the folder of its programs."""
    edge = settings.node / "edge"
    return [
        Service("edge", [python, "-P", "-m", "localcloud.moto.load_balancer", str(settings.home), str(settings.slot)]),
        Service(
            "load-balancer",
            [
                *(f"{programs['envoy']}/envoy", "--config-path", f"{edge}/envoy.json"),
                # Hot restart would leave files in /dev/shm when the process is killed.
                *("--disable-hot-restart", "--log-level", "warn", "--concurrency", "1"),
            ],
            on_host_network=True,
        ),
        Service(
            "route53",
            [f"{programs['coredns']}/coredns", "-conf", f"{edge}/Corefile"],
            environment={
                **credentials.variables(settings),
                "AWS_REGION": REGION,
                "AWS_ENDPOINT_URL_ROUTE_53": settings.aws_endpoint,
            },
            on_host_network=True,
        ),
    ]
