"""The common parts of all resource types of the AWS stand-in: clients, waiting, errors, tags, `ResourceType`."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from localcloud.plugins.provider import ANSWER_SECONDS, NotReadyError, Properties, ProviderError, until

RETRIES: Any = {"max_attempts": 6, "mode": "standard"}  # with backoff and jitter


class AwsApi:
    """Clients for one account and region, one attribute for each service, such as `api.s3`.

    `config` has the provider's settings; its `endpoints` map a service to another URL than AWS's.
    """

    def __init__(self, config: Properties) -> None:
        self.region: str = config.get("region", "")
        self._account: Properties = config
        self._endpoints: dict[str, str] = {}
        for entry in config.get("endpoints", []):
            self._endpoints |= entry
        # botocore modifies its arguments.
        path_style: Any = {"addressing_style": "path" if config.get("s3UsePathStyle") else "auto"}
        self._config = Config(retries=dict(RETRIES), s3=path_style, connect_timeout=5, read_timeout=ANSWER_SECONDS)
        self._clients: dict[str, Any] = {}
        self._making = threading.Lock()

    @cached_property
    def _session(self) -> Any:
        # Imported only where it is used: the import is slow, and an update without changes does not call AWS.
        from boto3.session import Session  # noqa: PLC0415 slow to import, and rarely needed

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
        """Return the account's id."""
        return str(self.sts.get_caller_identity()["Account"])


def error_code(error: ClientError) -> str:
    """Return the service's own name of the error, such as `NoSuchBucket`."""
    return str(error.response.get("Error", {}).get("Code", ""))


def none_if(*codes: str) -> Callable[[Callable[[], Any]], Any]:
    """Return a function that runs a call, and returns None where AWS answers with an error code of `codes`."""

    def run(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except ClientError as error:
            if error_code(error) in codes:
                return None
            raise

    return run


def wait_until(problem: str, check: Callable[[], bool], timeout: float) -> None:
    """Wait until `check` is true; raises `ProviderError` after `timeout` seconds."""
    if not until(check, timeout):
        raise ProviderError(f"{problem} after {timeout:.0f} s")


@contextmanager
def keeping_id(identity: str, inputs: Properties) -> Iterator[None]:
    """Run the remaining steps of a resource that exists already; after an error the engine still stores its id."""
    try:
        yield
    except (ClientError, BotoCoreError, ProviderError) as error:
        raise NotReadyError(
            identity, inputs, inputs, [f"{identity} was created, but is not complete: {error}"]
        ) from error


def provider_error(error: ClientError | BotoCoreError) -> ProviderError:
    """Return AWS's error as the engine shows it."""
    return ProviderError(str(error))


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags in the form of most AWS APIs."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def tag_dict(tags: list[dict[str, str]]) -> dict[str, str]:
    """Return tags of most AWS APIs as a dict."""
    return {entry["Key"]: entry["Value"] for entry in tags}


@dataclass(frozen=True)
class ResourceType:
    """One resource type. All functions raise botocore's errors.

    Attributes:
        required: Inputs that must be set.
        create: Creates the resource from its inputs, within `timeout` seconds; returns its id.
        read: Returns the properties of the resource with an id, None where it is gone. Also gets the inputs or state.
        delete: Deletes the resource with an id; also gets its state.
        update: Changes the resource with an id from its old inputs to new ones.
        optional: Inputs that may be set.
        fixed: Inputs whose change needs a new resource.
        computed: Outputs that are unknown before the resource exists.
        write_only: Inputs that cannot be read back.
        documents: Inputs that are JSON texts, compared by content.
        auto_name: The input that gets a generated name, if any.
        auto_name_length: The longest generated name.
        defaults: Inputs that are set where the program sets none.
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
        """All inputs of the type."""
        return (*self.required, *self.optional)
