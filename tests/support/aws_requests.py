"""Requests to the embedded AWS: an account with a tenant's buckets, signers, and raw requests."""

import http.client
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.support.embedded_aws import EmbeddedAws

CALLS = {
    "acm": "list_certificates",
    "autoscaling": "describe_auto_scaling_groups",
    "ec2": "describe_vpcs",
    "elbv2": "describe_load_balancers",
    "iam": "list_roles",
    "route53": "list_hosted_zones",
    "s3": "list_buckets",
    "secretsmanager": "list_secrets",
    "sts": "get_caller_identity",
}

OWN, OTHER, CONFIG = "own-metrics-1", "other-metrics-1", "own-config-1"

TENANT = "default"


def account_of(tenant: str, name: str) -> str:
    return f"{tenant}-tenant:{name}"


def send(aws: EmbeddedAws, request: AWSRequest, body: bytes, url: str | None = None) -> tuple[int, str]:
    """Send a request with its signed headers; return status and answer."""
    parts = urlsplit(url or request.url)
    context = ssl.create_default_context(cafile=str(aws.settings.ca))
    connection = http.client.HTTPSConnection(parts.netloc, context=context, timeout=20)
    connection.request(request.method, urlunsplit(("", "", parts.path, parts.query, "")), body, dict(request.headers))
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def administrator_credentials(aws: EmbeddedAws) -> Credentials:
    return Credentials(aws.keys["aws_access_key_id"], aws.keys["aws_secret_access_key"])


def session_credentials(options: Mapping[str, str]) -> Credentials:
    return Credentials(options["aws_access_key_id"], options["aws_secret_access_key"], options["aws_session_token"])
