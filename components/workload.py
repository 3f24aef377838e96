"""What every workload of ours has: a restricted pod, and credentials by web identity."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi

USER_ID = 10001
TOKEN_FOLDER = "/var/run/secrets/aws"
TOKEN_AUDIENCE = "sts.amazonaws.com"
TOKEN_SECONDS = 3600
CA_FILE = "/etc/opstrace/ca.pem"

RESTRICTED_NAMESPACE = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/enforce-version": "latest",
}
"""Labels that make the API server refuse pods outside the `restricted` pod security standard."""

POD_SECURITY: dict[str, Any] = {
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


@dataclass(frozen=True)
class Aws:
    """How a program reaches AWS.

    `endpoints` maps a service to a URL in place of AWS's own. `host_aliases` are names that a pod finds at other
    addresses than DNS says, in the form of Kubernetes (`ip`, `hostnames`).
    """

    region: str
    endpoints: Mapping[str, str] = field(default_factory=dict)
    ca_bundle: str | None = None
    host_aliases: list[dict[str, Any]] = field(default_factory=list)

    def s3_host(self) -> str:
        """Return the host, with its port where one is given, of the S3 API."""
        given = self.endpoints.get("s3")
        return given.split("://", 1)[1] if given else f"s3.{self.region}.amazonaws.com"

    def s3_is_plain(self) -> bool:
        """Tell whether S3 is spoken to without TLS."""
        return self.endpoints.get("s3", "https").startswith("http://")

    def s3_is_elsewhere(self) -> bool:
        """Tell whether S3 is another than AWS's own: then buckets stand in the path, not in the host name."""
        return "s3" in self.endpoints


def aws_environment(aws: Aws, role_arn: pulumi.Input[str]) -> list[dict[str, Any]]:
    """Return the environment with which AWS's libraries take the role by web identity; it holds no key."""
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
    """Return the volume with the pod's own token for AWS STS, which the kubelet renews."""
    token = {"audience": TOKEN_AUDIENCE, "expirationSeconds": TOKEN_SECONDS, "path": "token"}
    return {"name": "aws-token", "projected": {"sources": [{"serviceAccountToken": token}]}}


def container(
    name: str,
    image: str,
    args: list[str],
    *,
    ports: Mapping[str, int],
    probe: tuple[str, str],
    requests: Mapping[str, str],
    memory_limit: str,
    start_seconds: int = 60,
) -> dict[str, Any]:
    """Return a container that may do nothing but its work; `probe` is the path and the port of its readiness."""
    http = {"path": probe[0], "port": probe[1]}
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": args,
        "ports": [{"name": port, "containerPort": number} for port, number in ports.items()],
        "startupProbe": {"httpGet": http, "periodSeconds": 1, "failureThreshold": start_seconds},
        "readinessProbe": {"httpGet": http, "periodSeconds": 5, "timeoutSeconds": 3},
        "livenessProbe": {"tcpSocket": {"port": probe[1]}, "periodSeconds": 20, "failureThreshold": 6},
        # No CPU limit: throttling a database slows everybody who waits for it (memory cannot be given back, so it has one).
        "resources": {"requests": dict(requests), "limits": {"memory": memory_limit}},
        "securityContext": CONTAINER_SECURITY,
    }
