"""The embedded cloud as the command uses it: start, stop, status, and the settings that a shell and a stack need."""

import json
import os
import secrets
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from localcloud import lifecycle, user_cluster
from localcloud.errors import LocalCloudError, ToolError
from localcloud.files import write_whole
from localcloud.moto.account import Account
from localcloud.moto.authorization import credentials
from localcloud.node.images import LATER_SERVICE
from localcloud.node.services import POLICIES_ENFORCED
from localcloud.node.volumes import STORAGE_CLASS
from localcloud.plugins.install import install, install_official, stand_ins
from localcloud.progress import SILENT, Progress
from localcloud.settings import DOMAIN, REGION, STS_HOST, Settings, not_running, settings_from_environment
from localcloud.toolchain import catalog
from localcloud.toolchain.store import cached, ensure

NODE_PORT = 30443


@dataclass(frozen=True)
class Status:
    """The state of the embedded cloud on this machine, and its differences from a real cloud.

    `context` is the context of the user's cluster. Whether that cluster enforces network policies is unknown (None).
    `stand_ins` are the replacements for official plugins and the language host in use; None where no plugin is
    installed yet.
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


def up(
    context: str | None = None,
    address: str | None = None,
    progress: Progress = SILENT,
    *,
    official_plugins: bool = False,
    trust_release_host: bool = False,
) -> Settings:
    """Start the embedded cloud and install the engine's programs for it; does nothing where it runs already.

    With `context`, or a recorded context, the cluster is the one in the user's kubeconfig, and only AWS is started.
    `address` is then this machine's address at which the cluster's pods reach AWS; None selects it by the route to the
    nodes. `official_plugins` are used until `down`, in place of the stand-ins. With `trust_release_host`, releases are used
    without a pinned checksum too. Raises `LocalCloudError` where the cloud cannot start, or runs already with another
    cluster, and `ToolError` where a tool cannot be fetched or built.
    """
    if address and not context:
        raise LocalCloudError(
            f"--address {address} needs --context: it is the address at which the pods of your own cluster reach this machine"
        )
    settings = settings_from_environment()
    if not lifecycle.is_ready(settings):
        settings = _with_cluster(settings, context, address)
    _require_same(settings, context, address)
    prepare_engine(settings, progress, official_plugins=official_plugins, trust_release_host=trust_release_host)
    lifecycle.start(settings, progress, trust_release_host=trust_release_host)
    settings = settings_from_environment()
    _require_same(settings, context, address)  # another process may have been faster
    _link_kubectl(settings, progress, trust_release_host=trust_release_host)
    return settings


def _link_kubectl(settings: Settings, progress: Progress, *, trust_release_host: bool = False) -> None:
    """Put `kubectl` beside the engine. A user with a cluster has one on PATH whose version fits it."""
    link = settings.engine_home / "bin" / "kubectl"
    if settings.user_cluster and shutil.which("kubectl", path=":".join(_users_path(settings))):
        link.unlink(missing_ok=True)
        return
    tool = catalog.KUBERNETES.trusting_hosts() if trust_release_host else catalog.KUBERNETES
    program = ensure(tool, progress) / "kubectl"
    if not link.is_symlink() or link.readlink() != program:
        link.unlink(missing_ok=True)
        link.symlink_to(program)


def _users_path(settings: Settings) -> list[str]:
    """Return the folders of PATH, without those of the engine."""
    own = [str(each / "bin") for each in (settings.stand_ins_home, settings.official_home)]
    return [entry for entry in os.environ.get("PATH", "").split(":") if entry not in own]


def _with_cluster(settings: Settings, context: str | None, address: str | None) -> Settings:
    """Return the settings with the cluster to use. A recorded cluster is inspected again, for its current nodes."""
    if context:
        return replace(settings, user_cluster=user_cluster.find(context, user_cluster.kubeconfig(settings), address))
    if settings.user_cluster:
        recorded = settings.user_cluster
        try:
            return replace(
                settings, user_cluster=user_cluster.find(recorded.context, recorded.kubeconfig, recorded.address)
            )
        except LocalCloudError as error:
            raise LocalCloudError(f"{error}; `./opstrace local down` forgets this context") from error
    return settings


def _require_same(settings: Settings, context: str | None, address: str | None) -> None:
    """Raise `LocalCloudError` where these settings have another cluster or address than the user asked for."""
    cluster = (
        f"the cluster of the context {settings.context}" if settings.user_cluster else "a one-node cluster of its own"
    )
    difference = None
    if context and (not settings.user_cluster or settings.context != context):
        difference = f"not the context {context}"
    elif address and settings.aws_address != address:
        difference = f"at the address {settings.aws_address}, not {address}"
    if difference:
        raise LocalCloudError(
            f"the embedded cloud runs already, with {cluster}, {difference}; end it first: `./opstrace local down`"
        )


def prepare_engine(
    settings: Settings,
    progress: Progress = SILENT,
    *,
    official_plugins: bool = False,
    trust_release_host: bool = False,
) -> None:
    """Install the engine's programs and plugins, and create its backend and passphrase; needs no cloud.

    The plugins are the stand-ins on every machine, so that what the tests run is what runs. The choice of
    `official_plugins` is recorded once they are complete.
    """
    for folder in (settings.home, settings.pulumi, settings.pulumi / "backend"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if official_plugins or settings.official_plugins_file.exists():
        remedy = "leave out --official-plugins" if official_plugins else "end their use by `./opstrace local down`"
        try:
            install_official(settings.official_home, progress, trust_release_host=trust_release_host)
        except ToolError as error:
            raise ToolError(f"{error}; for the stand-in plugins, {remedy}") from error
        _share_selected_stacks(settings)
        settings.official_plugins_file.touch()
    else:
        engine = catalog.PULUMI.trusting_hosts() if trust_release_host else catalog.PULUMI
        install(settings.stand_ins_home, ensure(engine, progress))
    passphrase = settings.pulumi / "passphrase"
    if not passphrase.exists():
        write_whole(passphrase, secrets.token_urlsafe(32), 0o600)


def _share_selected_stacks(settings: Settings) -> None:
    """Let both homes of the engine have the same selected stacks, which plain `pulumi` uses."""
    selected = settings.stand_ins_home / "workspaces"
    selected.mkdir(parents=True, exist_ok=True, mode=0o700)
    link = settings.official_home / selected.name
    if not link.is_symlink():
        shutil.rmtree(link, ignore_errors=True)
        link.symlink_to(selected)


def stacks(settings: Settings) -> list[str]:
    """Return the names of the stacks in the local backend."""
    files = (settings.pulumi / "backend" / ".pulumi" / "stacks").glob("*/*.json")
    return sorted(path.stem for path in files)


@dataclass(frozen=True)
class Ended:
    """The result of `down`: the stacks whose resources are lost, and the context of the user's cluster, which stays."""

    stacks: list[str]
    context: str | None


def down() -> Ended:
    """End the embedded cloud, and forget the cluster and the official plugins that the user chose.

    The stacks' state stays, so that `up` and `pulumi up --refresh` restore them without their data. Where there is no
    stack, everything of the embedded cloud is removed.
    """
    settings = settings_from_environment()
    names = stacks(settings)
    lifecycle.stop(settings)
    settings.official_plugins_file.unlink(missing_ok=True)
    if not names:
        shutil.rmtree(settings.home, ignore_errors=True)
    return Ended(names, settings.context if settings.user_cluster else None)


def require_running() -> Settings:
    """Return the settings of the cloud that runs; raises `LocalCloudError` where none runs."""
    settings = settings_from_environment()
    if not lifecycle.is_ready(settings):
        raise not_running()
    return settings


def status() -> Status:
    """Return the state of the embedded cloud on this machine."""
    settings = settings_from_environment()
    running = lifecycle.is_ready(settings)
    return Status(
        running=running,
        kubernetes=settings.kubernetes_endpoint,
        context=settings.context if settings.user_cluster else None,
        aws=settings.aws_endpoint,
        https=f"127.0.0.1:{settings.https_port}",
        dns=f"127.0.0.1:{settings.dns_port}",
        stand_ins=stand_ins(settings.engine_home),
        network_policies_enforced=None
        if settings.user_cluster
        else running and (settings.node / POLICIES_ENFORCED).exists(),
        stacks=stacks(settings),
    )


def environment(settings: Settings, progress: Progress = SILENT) -> dict[str, str]:
    """Return the variables with which plain `pulumi`, `kubectl` and `aws` in a shell use this cloud."""
    home = settings.engine_home
    if not (home / "bin" / "kubectl").exists():
        _link_kubectl(settings, progress)
    return {
        "PATH": ":".join([str(home / "bin"), *_users_path(settings)]),
        "PULUMI_HOME": str(home),
        "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",  # or programs on PATH would replace the plugins in this home
        # Without `.attrs` files, which the backend does not replace at once: a reader would find an empty one.
        "PULUMI_BACKEND_URL": f"file://{settings.pulumi / 'backend'}?metadata=skip",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(settings.pulumi / "passphrase"),
        "KUBECONFIG": settings.kubeconfigs,
        "AWS_ENDPOINT_URL": settings.aws_endpoint,
        "AWS_ENDPOINT_URL_S3": settings.s3_endpoint,
        "AWS_CA_BUNDLE": str(settings.ca),
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,  # the name that boto3 and version 1 of the AWS CLI read
        **credentials.variables(settings),
    }


def stack_settings(settings: Settings) -> dict[str, Any]:
    """Return the `opstrace:` settings that a stack on this cloud must have; the user chooses the others."""
    account = Account(**json.loads((settings.node / "account.json").read_text()))
    if settings.user_cluster:
        # Cortex always calls STS by the region's own name, and only the user controls the cluster's DNS.
        cluster: dict[str, Any] = {"hostAliases": [{"ip": settings.aws_address, "hostnames": [STS_HOST]}]}
    else:
        cluster = {"storageClass": STORAGE_CLASS, "enforcesNetworkPolicies": True}
    return {
        "domain": DOMAIN,
        "aws": {
            "region": REGION,
            "endpoints": dict.fromkeys(
                (*("acm", "autoscaling", "ec2", "eks", "elbv2", "iam"), *("route53", "secretsmanager", "sts")),
                settings.aws_endpoint,
            )
            | {"s3": settings.s3_endpoint},
            "caBundle": settings.ca.read_text(),
        },
        "cluster": {
            "context": settings.context,
            "oidcProviderArn": account.oidc_provider_arn,
            "oidcIssuer": settings.oidc_issuer,
            "nodeSecurityGroupId": account.node_security_group_id,
            **cluster,
        },
        "loadBalancer": {
            "vpcId": account.vpc_id,
            "subnetIds": account.subnet_ids,
            "autoscalingGroups": account.autoscaling_groups,
            "nodePort": NODE_PORT,
            "port": settings.https_port,
        },
    }


def collectors_wait(settings: Settings) -> str | None:
    """Return what the collectors on this cloud's node wait for, None if their program is built."""
    if settings.user_cluster or cached(catalog.OTELCOL):
        return None
    return (
        "once their program is built, which takes 5 to 10 minutes in the background; its log is "
        f"{settings.logs / f'{LATER_SERVICE}.log'}"
    )


def ca_file(settings: Settings) -> Path:
    """Return the file of the certificate that clients of this cloud's load balancer must trust."""
    return settings.ca


def log_files(settings: Settings) -> dict[str, Path]:
    """Return the log files of the cloud's programs, by name."""
    return {path.stem: path for path in sorted(settings.logs.glob("*.log"))}
