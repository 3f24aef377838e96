"""The common parts of our pods: restrictions, and AWS credentials by web identity."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pulumi

USER_ID = 10001
TOKEN_FOLDER = "/var/run/secrets/aws"
TOKEN_AUDIENCE = "sts.amazonaws.com"
TOKEN_SECONDS = 3600
CA_FILE = "/etc/opstrace/ca.pem"

NAMESPACE_POD_SECURITY = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/enforce-version": "latest",
}
"""Labels that make the API server refuse pods outside the `restricted` pod security standard."""

POD_SECURITY_CONTEXT: dict[str, Any] = {
    "runAsNonRoot": True,
    "runAsUser": USER_ID,
    "runAsGroup": USER_ID,
    "fsGroup": USER_ID,
    "fsGroupChangePolicy": "OnRootMismatch",
    "seccompProfile": {"type": "RuntimeDefault"},
}

CONTAINER_SECURITY: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


@dataclass(frozen=True, kw_only=True)
class Aws:
    """How a program reaches AWS.

    Attributes:
        region: The AWS region.
        endpoints: URLs in place of AWS's own, by service.
        ca_bundle: The PEM text of the certificate authorities to trust; None: the system's.
        host_aliases: Host names that resolve to other addresses than DNS says, as `hostAliases` of a pod (`ip`,
            `hostnames`).
    """

    region: str
    endpoints: Mapping[str, str] = field(default_factory=dict)
    ca_bundle: str | None = None
    host_aliases: list[dict[str, Any]] = field(default_factory=list)

    def s3_host(self) -> str:
        """Return the host of the S3 API, with the port if the endpoint has one."""
        endpoint = self.endpoints.get("s3")
        return endpoint.split("://", 1)[1] if endpoint else f"s3.{self.region}.amazonaws.com"

    def s3_is_plain(self) -> bool:
        """Tell whether connections to S3 are without TLS."""
        return self.endpoints.get("s3", "https").startswith("http://")

    def s3_is_elsewhere(self) -> bool:
        """Tell whether S3 has its own endpoint. If so, bucket names go into the path instead of the host name."""
        return "s3" in self.endpoints


def aws_environment(aws: Aws, role_arn: pulumi.Input[str]) -> list[dict[str, Any]]:
    """Return the environment with which AWS's SDKs assume the role by web identity; it contains no secret."""
    variables: list[dict[str, Any]] = [
        {"name": "AWS_REGION", "value": aws.region},
        {"name": "AWS_ROLE_ARN", "value": role_arn},
        {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": f"{TOKEN_FOLDER}/token"},
    ]
    if "sts" in aws.endpoints:
        variables.append({"name": "AWS_ENDPOINT_URL_STS", "value": aws.endpoints["sts"]})
    if aws.ca_bundle:
        variables.append({"name": "SSL_CERT_FILE", "value": CA_FILE})
    return variables


def token_volume() -> dict[str, Any]:
    """Return the volume with the pod's token for AWS STS. The kubelet renews the token."""
    token = {"audience": TOKEN_AUDIENCE, "expirationSeconds": TOKEN_SECONDS, "path": "token"}
    return {"name": "aws-token", "projected": {"sources": [{"serviceAccountToken": token}]}}


@dataclass(frozen=True, kw_only=True)
class Container:
    """A container without any privilege.

    Attributes:
        name: The name of the container.
        image: The image reference.
        args: The arguments of the program.
        ports: Port numbers by name.
        probe: The path and the port name of the readiness probe.
        requests: The resources that the scheduler reserves, as Kubernetes quantities.
        memory_limit: The memory limit, a Kubernetes quantity.
        start_seconds: The time within which the first probe must succeed.
    """

    name: str
    image: str
    args: list[str]
    ports: Mapping[str, int]
    probe: tuple[str, str]
    requests: Mapping[str, str]
    memory_limit: str
    start_seconds: int = 60

    def manifest(self) -> dict[str, Any]:
        """Return the container as a part of a Kubernetes manifest."""
        path, port = self.probe
        http = {"path": path, "port": port}
        return {
            "name": self.name,
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "args": self.args,
            "ports": [{"name": name, "containerPort": number} for name, number in self.ports.items()],
            "startupProbe": {"httpGet": http, "periodSeconds": 1, "failureThreshold": self.start_seconds},
            "readinessProbe": {"httpGet": http, "periodSeconds": 5, "timeoutSeconds": 3},
            "livenessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 20, "failureThreshold": 6},
            # There is no CPU limit: throttling a database slows all its clients. Memory has a limit, because a process
            # cannot be throttled in its use of it.
            "resources": {"requests": dict(self.requests), "limits": {"memory": self.memory_limit}},
            "securityContext": CONTAINER_SECURITY,
        }
