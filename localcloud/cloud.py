"""The embedded cloud as the command sees it: start, stop, what a shell and a stack need of it."""

import json
import os
import secrets
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from localcloud import borrowed, lifecycle
from localcloud.aws.account import CREDENTIALS, Account
from localcloud.errors import LocalCloudError
from localcloud.files import write_whole
from localcloud.node.services import POLICIES_HOLD
from localcloud.node.volumes import STORAGE_CLASS
from localcloud.plugins.install import install, stand_ins
from localcloud.settings import DOMAIN, REGION, STS_HOST, Settings, settings
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from scripts.engine import COLLECTOR

NODE_PORT = 30443


@dataclass(frozen=True)
class Status:
    """What runs here, and what of it is not what a real cloud would have.

    `context` is that of a cluster of the user's; whether network policies are enforced there is not known (None).
    `stand_ins`: what stands in for the official plugins and language host; None where none is installed yet.
    """

    running: bool
    kubernetes: str
    context: str | None
    aws: str
    https: str
    dns: str
    stand_ins: list[str] | None
    network_policies_enforced: bool | None
    stacks: list[str]


def up(context: str | None = None, address: str | None = None) -> Settings:
    """Start the embedded cloud, with everything that the engine needs to use it; idempotent.

    With `context`, or where one is remembered, the cluster is that one of the caller's kubeconfig, and AWS alone is
    started; `address` is then the one of this machine at which its pods reach AWS, found unless given.
    Raises `LocalCloudError` where it cannot be, or where what runs already has another cluster.
    """
    if address and not context:
        raise LocalCloudError(
            "--address says where the pods of your own cluster reach this machine: give --context too"
        )
    here = settings()
    wanted = here if lifecycle.is_ready(here) else _with_cluster(here, context, address)
    _require_same(wanted, context, address)
    prepare_engine(wanted)
    lifecycle.start(wanted)
    here = settings()
    _require_same(here, context, address)  # another process may have been faster
    return here


def _with_cluster(here: Settings, context: str | None, address: str | None) -> Settings:
    """Return the settings with the cluster that is to be used, as it is now: its nodes come and go."""
    if context:
        return replace(here, borrowed=borrowed.find(context, borrowed.kubeconfig(here), address))
    if here.borrowed:
        known = here.borrowed
        try:
            return replace(here, borrowed=borrowed.find(known.context, known.kubeconfig, known.address))
        except LocalCloudError as error:
            raise LocalCloudError(f"{error}; `./opstrace local down` forgets this context") from error
    return here


def _require_same(here: Settings, context: str | None, address: str | None) -> None:
    """Raise `LocalCloudError` where what runs is not what is asked for."""
    runs_with = f"the cluster of the context {here.context}" if here.borrowed else "a one-node cluster of its own"
    other = None
    if context and (not here.borrowed or here.context != context):
        other = f"not the context {context}"
    elif address and here.aws_address != address:
        other = f"at the address {here.aws_address}, not {address}"
    if other:
        raise LocalCloudError(
            f"the embedded cloud runs already, with {runs_with}, {other}; end it first (`./opstrace local down`)"
        )


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


@dataclass(frozen=True)
class Ended:
    """What ended: the stacks whose resources went with it, and the context of the cluster that stays, if any."""

    stacks: list[str]
    context: str | None


def down() -> Ended:
    """End the embedded cloud, and forget the cluster that the user named, if any.

    The stacks' state is kept, so that `up` and `pulumi up --refresh` bring them back
    without their data; where no stack is left, nothing of the embedded cloud is.
    """
    here = settings()
    lost = stacks(here)
    lifecycle.stop(here)
    if not lost:
        shutil.rmtree(here.home, ignore_errors=True)
    return Ended(lost, here.context if here.borrowed else None)


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
        context=here.context if here.borrowed else None,
        aws=here.aws_endpoint,
        https=f"127.0.0.1:{here.https_port}",
        dns=f"127.0.0.1:{here.dns_port}",
        stand_ins=stand_ins(here.pulumi / "home"),
        network_policies_enforced=None if here.borrowed else runs and (here.node / POLICIES_HOLD).exists(),
        stacks=stacks(here),
    )


def environment(here: Settings) -> dict[str, str]:
    """Return what a shell needs so that plain `pulumi`, `kubectl` and `aws` talk to this cloud."""
    home = here.pulumi / "home"
    path = [entry for entry in os.environ.get("PATH", "").split(":") if entry != str(home / "bin")]
    kubectl = home / "bin" / "kubectl"
    # Who has a cluster of their own has one that fits it.
    if not kubectl.exists() and not (here.borrowed and shutil.which("kubectl")):
        kubectl.unlink(missing_ok=True)
        kubectl.symlink_to(ensure(catalog.KUBERNETES) / "kubectl")
    return {
        "PATH": ":".join([str(home / "bin"), *path]),
        "PULUMI_HOME": str(home),
        "PULUMI_BACKEND_URL": f"file://{here.pulumi / 'backend'}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(here.pulumi / "passphrase"),
        "GOGC": os.environ.get("GOGC", COLLECTOR["GOGC"]),  # the engine by itself has it as by the command
        "KUBECONFIG": here.kubeconfigs,
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
    if here.borrowed:
        # Cortex can be given no other STS endpoint than the region's own name, and the cluster's DNS is not ours.
        of_cluster: dict[str, Any] = {"hostAliases": [{"ip": here.aws_address, "hostnames": [STS_HOST]}]}
    else:
        of_cluster = {"storageClass": STORAGE_CLASS, "enforcesNetworkPolicies": True}
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
            "context": here.context,
            "oidcProviderArn": account.oidc_provider_arn,
            "oidcIssuer": here.oidc_issuer,
            "nodeSecurityGroupId": account.node_security_group_id,
            **of_cluster,
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
