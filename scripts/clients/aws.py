"""boto3 clients for the account and the endpoints of a stack."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from components.config.stack import StackConfig


@dataclass(frozen=True)
class Timeouts:
    """How long a request waits for AWS.

    Attributes:
        connect: The seconds until a connection is made.
        read: The seconds without a byte of the answer; 60 is botocore's default.
        retries: The attempts after the first one.
    """

    connect: float = 5
    read: float = 60
    retries: int = 3


LONG = Timeouts()
# For reads while somebody waits: S3 answers a LIST request within 2 s. The attempts stay, because a failed one discards a sum.
SHORT = Timeouts(read=10)


def is_code(error: ClientError, *codes: str) -> bool:
    """Tell whether AWS answered with one of these error codes."""
    return error.response["Error"]["Code"] in codes


class Clients:
    """Clients by service, with the credentials of `environment` and the endpoints of `config`. Threads may share them."""

    def __init__(self, environment: Mapping[str, str], config: StackConfig, timeouts: Timeouts = LONG) -> None:
        from botocore.config import Config  # noqa: PLC0415 as boto3 below

        self._account = {
            "region_name": config.aws.region,
            "profile_name": environment.get("AWS_PROFILE"),
            "aws_access_key_id": environment.get("AWS_ACCESS_KEY_ID"),
            "aws_secret_access_key": environment.get("AWS_SECRET_ACCESS_KEY"),
            "aws_session_token": environment.get("AWS_SESSION_TOKEN"),
        }
        self._session: Any = None
        self._endpoints = config.aws.endpoints
        retries: Any = {"max_attempts": timeouts.retries, "mode": "standard"}
        self._config = Config(connect_timeout=timeouts.connect, read_timeout=timeouts.read, retries=retries)
        self._authorities = environment.get("AWS_CA_BUNDLE")
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()  # threads may share boto3's clients, but not its sessions

    def __getitem__(self, service: str) -> Any:
        """Return the client of a service, such as `route53`."""
        import boto3  # noqa: PLC0415 slow to import, and needed by commands that reach the account alone

        with self._lock:
            if service not in self._clients:
                if self._session is None:  # late, so that an unknown profile is an error of the first request
                    self._session = boto3.session.Session(**self._account)
                endpoint = self._endpoints.get(service)
                self._clients[service] = self._session.client(
                    service, endpoint_url=endpoint, config=self._config, verify=self._authorities
                )
            return self._clients[service]
