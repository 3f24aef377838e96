"""The embedded cloud as the command sees it: start, stop, what a shell and a stack need of it."""

import json
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud import lifecycle
from localcloud.aws.account import CREDENTIALS, Account
from localcloud.errors import LocalCloudError
from localcloud.files import write_whole
from localcloud.node.volumes import STORAGE_CLASS
from localcloud.plugins.install import STAND_INS, install, is_stand_in
from localcloud.settings import DOMAIN, REGION, Settings, settings
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure

NODE_PORT = 30443


@dataclass(frozen=True)
class Status:
    """What runs here, and what of it is not what a real cloud would have."""

    running: bool
    kubernetes: str
    aws: str
    https: str
    dns: str
    stand_ins: list[str]
    network_policies_enforced: bool
    stacks: list[str]


def up() -> Settings:
    """Start the embedded cloud, with everything that the engine needs to use it; idempotent."""
    here = settings()
    prepare_engine(here)
    lifecycle.start(here)
    return here


def prepare_engine(here: Settings) -> None:
    """Make the engine usable without a cloud: programs, plugins, backend and passphrase."""
    programs = ensure(catalog.PULUMI)
    for folder in (here.home, here.pulumi, here.pulumi / "backend"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    install(here.pulumi / "home", programs)
    passphrase = here.pulumi / "passphrase"
    if not passphrase.exists():
        write_whole(passphrase, secrets.token_urlsafe(32), 0o600)


def stacks(here: Settings) -> list[str]:
    """Return the stacks whose state is kept here."""
    found = (here.pulumi / "backend" / ".pulumi" / "stacks").glob("*/*.json")
    return sorted(path.stem for path in found)


def down(*, keep_stacks: bool = True) -> list[str]:
    """End the embedded cloud and return the stacks whose resources went with it.

    The stacks' state is kept, so that `up` and `pulumi up --refresh` bring them back
    without their data; where no stack is left, nothing of the embedded cloud is.
    """
    here = settings()
    lost = stacks(here)
    lifecycle.stop(here)
    if not lost or not keep_stacks:
        shutil.rmtree(here.home, ignore_errors=True)
    return lost


def require_running() -> Settings:
    """Return the settings of the cloud that runs; raises `LocalCloudError` where none does."""
    here = settings()
    if not lifecycle.is_ready(here):
        raise LocalCloudError("the embedded cloud does not run; `./opstrace local up` starts it")
    return here


def status() -> Status:
    """Return what runs."""
    here = settings()
    runs = lifecycle.is_ready(here)
    return Status(
        running=runs,
        kubernetes=here.kubernetes_endpoint,
        aws=here.aws_endpoint,
        https=f"127.0.0.1:{here.https_port}",
        dns=f"127.0.0.1:{here.dns_port}",
        stand_ins=[name for name in STAND_INS if is_stand_in(here.pulumi / "home", name)],
        network_policies_enforced=False,  # the bridge plugin makes a network and no more
        stacks=stacks(here),
    )


def environment(here: Settings) -> dict[str, str]:
    """Return what a shell needs so that plain `pulumi`, `kubectl` and `aws` talk to this cloud."""
    home = here.pulumi / "home"
    path = [entry for entry in os.environ.get("PATH", "").split(":") if entry != str(home / "bin")]
    kubernetes = ensure(catalog.KUBERNETES)
    kubectl = home / "bin" / "kubectl"
    if not kubectl.exists():
        kubectl.unlink(missing_ok=True)
        kubectl.symlink_to(kubernetes / "kubectl")
    return {
        "PATH": ":".join([str(home / "bin"), *path]),
        "PULUMI_HOME": str(home),
        "PULUMI_BACKEND_URL": f"file://{here.pulumi / 'backend'}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(here.pulumi / "passphrase"),
        "KUBECONFIG": str(here.kubeconfig),
        "AWS_ENDPOINT_URL": here.aws_endpoint,
        "AWS_ENDPOINT_URL_S3": here.s3_endpoint,
        "AWS_CA_BUNDLE": str(here.ca),
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,  # the name that boto3 and version 1 of the AWS CLI know
        **{name.upper(): value for name, value in CREDENTIALS.items()},
    }


def stack_settings(here: Settings) -> dict[str, Any]:
    """Return the `opstrace:` settings of a stack on this cloud, without those that are the user's to choose."""
    account = Account(**json.loads((here.node / "account.json").read_text()))
    return {
        "domain": DOMAIN,
        "aws": {
            "region": REGION,
            "endpoints": dict.fromkeys(
                (*("acm", "autoscaling", "ec2", "elbv2", "iam"), *("route53", "secretsmanager", "sts")),
                here.aws_endpoint,
            )
            | {"s3": here.s3_endpoint},
            "caBundle": here.ca.read_text(),
        },
        "cluster": {
            "context": here.home.name,
            "storageClass": STORAGE_CLASS,
            "oidcProviderArn": account.oidc_provider_arn,
            "oidcIssuer": here.oidc_issuer,
            "nodeSecurityGroupId": account.node_security_group_id,
        },
        "loadBalancer": {
            "vpcId": account.vpc_id,
            "subnetIds": account.subnet_ids,
            "autoscalingGroups": account.autoscaling_groups,
            "nodePort": NODE_PORT,
            "port": here.https_port,
        },
    }


def ca_file(here: Settings) -> Path:
    """Return the certificate that clients of this cloud's load balancer must trust."""
    return here.ca


def log_files(here: Settings) -> dict[str, Path]:
    """Return the logs of the cloud's parts, by name."""
    return {path.stem: path for path in sorted(here.logs.glob("*.log"))}
