"""What the resource types of the AWS stand-in have in common: clients, waiting, tags, and the table's shape."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from localcloud.plugins.provider import ANSWER_SECONDS, NotReadyError, Properties, ProviderError, cancelled

POLL_SECONDS = 0.5
RETRIES: Any = {"max_attempts": 6, "mode": "standard"}  # with backoff and jitter


class AwsApi:
    """One account and region; `endpoints` maps a service to a URL that is not AWS's own."""

    def __init__(self, config: Properties) -> None:
        self.region: str = config.get("region", "")
        self._account: Properties = config
        self._endpoints: dict[str, str] = {}
        for entry in config.get("endpoints", []):
            self._endpoints |= entry
        # botocore changes what it is given.
        path_style: Any = {"addressing_style": "path" if config.get("s3UsePathStyle") else "auto"}
        self._config = Config(retries=dict(RETRIES), s3=path_style, connect_timeout=5, read_timeout=ANSWER_SECONDS)
        self._clients: dict[str, Any] = {}
        self._making = threading.Lock()

    @cached_property
    def _session(self) -> Any:
        from boto3.session import Session  # takes long; an update without changes asks nothing of AWS

        return Session(
            region_name=self.region or None,
            profile_name=self._account.get("profile"),
            aws_access_key_id=self._account.get("accessKey"),
            aws_secret_access_key=self._account.get("secretKey"),
            aws_session_token=self._account.get("token"),
        )

    def __getattr__(self, service: str) -> Any:
        # Clients may be used by several threads at once, sessions may not (boto3's guide on threads).
        with self._making:
            if service not in self._clients:
                endpoint = self._endpoints.get(service)
                self._clients[service] = self._session.client(service, endpoint_url=endpoint, config=self._config)
            return self._clients[service]

    def account(self) -> str:
        """Return the account's number."""
        return str(self.sts.get_caller_identity()["Account"])


def error_code(error: ClientError) -> str:
    """Return the service's own name of the error, such as `NoSuchBucket`."""
    return str(error.response.get("Error", {}).get("Code", ""))


def absent(*codes: str) -> Callable[[Callable[[], Any]], Any]:
    """Return a function that runs a call and answers None where AWS says one of `codes`."""

    def run(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except ClientError as error:
            if error_code(error) in codes:
                return None
            raise

    return run


def wait_until(what: str, check: Callable[[], bool], timeout: float) -> None:
    """Wait until `check` is true; raises `ProviderError` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not check():
        if time.monotonic() > deadline or cancelled.is_set():
            raise ProviderError(f"{what} after {timeout:.0f} s")
        time.sleep(POLL_SECONDS)


@contextmanager
def made(identity: str, inputs: Properties) -> Iterator[None]:
    """Hold what is still to be done to a resource that exists: the engine keeps its id, however that goes."""
    try:
        yield
    except (ClientError, BotoCoreError, ProviderError) as error:
        raise NotReadyError(identity, inputs, inputs, [f"{identity} was made, but is not finished: {error}"]) from error


def explained(error: ClientError | BotoCoreError) -> ProviderError:
    """Return AWS's error as the engine shall show it."""
    return ProviderError(str(error))


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags in the form most AWS APIs take."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def tag_dict(tags: list[dict[str, str]]) -> dict[str, str]:
    """Return tags of most AWS APIs as a dict."""
    return {entry["Key"]: entry["Value"] for entry in tags}


@dataclass(frozen=True)
class ResourceType:
    """One entry of the table.

    `required` and `optional` are all the inputs that it takes; `fixed` those that only a
    new resource can have; `computed` the outputs that nobody knows before it is there.
    `write_only` inputs cannot be read back; `documents` are JSON texts, compared by content.
    The functions raise botocore's errors; `read` returns None where the resource is gone.
    """

    required: tuple[str, ...]
    create: Callable[[AwsApi, Properties, float], str]
    read: Callable[[AwsApi, str, Properties], Properties | None]
    delete: Callable[[AwsApi, str, Properties], None]
    update: Callable[[AwsApi, str, Properties, Properties], None] | None = None
    optional: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    computed: tuple[str, ...] = ()
    write_only: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    auto_name: str = ""
    auto_name_length: int = 255
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Every input that the type takes."""
        return (*self.required, *self.optional)
