"""Bytes that the buckets of each tenant hold: sums of S3's lists, as `tenants list` makes them, while browsers look.

The answer to a LIST request has 1,000 objects and costs money. So a sum is kept, and the longer the more requests it took.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from botocore import exceptions
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from components.core.units import DAY, HOUR
from scripts.clients.aws import is_code
from scripts.clients.concurrent import map_concurrently
from scripts.clients.errors import REPAIRABLE
from scripts.tenants.retained_data import buckets
from scripts.ui.sizes import in_units
from scripts.web.fault import reported
from scripts.web.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from scripts.clients.aws import Clients
    from scripts.web.subject import Subject

LOOK_SECONDS = 5  # between two looks for sums that are due
TOLD_SECONDS = 5  # between two times that browsers are told of new sums
AT_ONCE = 2  # tenants side by side: reading lists takes the processor, which answers to browsers need too
LEAST_AGE, MOST_AGE = HOUR, DAY  # of a sum that is made anew
LIST_SECONDS = 360  # a sum is kept so long for each LIST request: 10 an hour for up to 240 requests, more above
RETRY_SECONDS = 300  # after an outage
DENIED = "Sums need the rights `s3:ListBucketVersions` and `s3:ListBucketMultipartUploads` on the buckets of tenants."
CODES_OF_ALL = ("ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "RequestTimeTooSkewed", "SignatureDoesNotMatch")
ERRORS_OF_ALL = (  # of connections and credentials: the requests for all tenants have them
    exceptions.ConnectionError,
    exceptions.CredentialRetrievalError,
    exceptions.LoginError,
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.ProfileNotFound,
    exceptions.SSOError,
    exceptions.TokenRetrievalError,
)


@dataclass(frozen=True)
class Sum:
    """The stored bytes of a tenant.

    Attributes:
        buckets: The buckets of the sum.
        size: The bytes; None where all sums failed.
        at: When they were summed, in seconds since the epoch.
        due: When they are to be summed again.
        error: Why the last sum failed; None where it did not.
    """

    buckets: Collection[str]
    size: int | None = None
    at: float = 0
    due: float = 0
    error: str | None = None


class EndedError(Exception):
    """The page ends, so a sum is given up."""


class StoredBytes:
    """The stored bytes of all tenants.

    Args:
        subject: The instance.
        buckets_of: Returns the buckets of each tenant that is applied, None before they are known.
        is_watched: Tells whether browsers look. Otherwise, nothing is summed.

    Attributes:
        version: Grows when browsers are to be told of new sums.
    """

    def __init__(
        self,
        subject: Subject,
        buckets_of: Callable[[], Mapping[str, Collection[str]] | None],
        is_watched: Callable[[], bool],
    ) -> None:
        self.version = 0
        self._subject, self._buckets_of, self._is_watched = subject, buckets_of, is_watched
        self._sums: Mapping[str, Sum] = {}
        self._outage: str | None = None  # why nothing can be summed
        self._retry_at = 0.0
        self._told_at = 0.0
        self._is_ending = False
        self._is_refreshed = False  # since the last round
        self._rounds = Rounds("stored bytes", LOOK_SECONDS, self.read, is_watched)
        self.start, self.request = self._rounds.start, self._rounds.request

    def stop(self) -> None:
        """Sum no more. A sum that is being made ends with its next list."""
        self._is_ending = True
        self._rounds.stop()

    def refresh(self) -> None:
        """Sum soon what failed."""
        self._is_refreshed = True
        self._rounds.request()

    def of(self, tenant: str) -> int | None:
        """Return the stored bytes of a tenant, None where they are unknown."""
        return one.size if (one := self._sums.get(tenant)) else None

    def in_words(self, tenant: str) -> str:
        """Return the stored bytes of a tenant in units, or why there are none."""
        size, applied = self.of(tenant), self._buckets_of()
        if size is not None:
            return in_units(size)
        if applied is None:
            return "being read"
        if tenant not in applied:
            return "none"
        return "see above" if self._outage or tenant in self._sums else "being summed"

    @property
    def oldest(self) -> float | None:
        """When the oldest sum was made, in seconds since the epoch; None before the first."""
        return min((one.at for one in self._sums.values() if one.size is not None), default=None)

    @property
    def missing(self) -> int:
        """The number of tenants that have no sum yet, and get one; none during an outage."""
        return 0 if self._outage else len({*(self._buckets_of() or {})} - {*self._sums})

    @property
    def why(self) -> str | None:
        """Why sums are missing or old; None where none failed."""
        if self._outage:
            return f"Stored bytes: {self._outage}"
        failed = sorted((tenant, one.error) for tenant, one in self._sums.items() if one.error)
        if not failed:
            return None
        (tenant, error), others = failed[0], len(failed) - 1
        others_in_words = f" and {others} other{'s' if others > 1 else ''}" if others else ""
        return f"Stored bytes of {tenant}{others_in_words}: {error}"

    def read(self) -> None:
        """Sum what is due while browsers look. Errors are kept as reasons."""
        applied, before = self._buckets_of(), (self._sums, self._outage)
        if self._is_refreshed:
            self._is_refreshed, self._retry_at = False, 0
            self._sums = {tenant: replace(one, due=0) if one.error else one for tenant, one in self._sums.items()}
        if applied is None or time.time() < self._retry_at:
            return
        # A tenant that was purged and added again has other buckets.
        self._sums = {tenant: one for tenant, one in self._sums.items() if applied.get(tenant) == one.buckets}
        due = {tenant: names for tenant, names in applied.items() if self._is_due(tenant)}
        if not due:
            self._outage = None
        self._sum_all(due)
        if (self._sums, self._outage) != before:
            self._tell()

    def _is_due(self, tenant: str) -> bool:
        one = self._sums.get(tenant)
        return one is None or one.due <= time.time()

    def _sum_all(self, due: Mapping[str, Collection[str]]) -> None:
        """Sum tenants, some side by side, until an outage begins, the page ends, or no browser looks."""
        tenants = [*due]
        for first in range(0, len(tenants), AT_ONCE):
            if self._is_ending or not self._is_watched():
                return
            try:
                self._sum({tenant: due[tenant] for tenant in tenants[first : first + AT_ONCE]})
            except Exception as error:
                if not self._is_ending:  # after the end, Python starts no threads either
                    self._begin_outage(error)
                return

    def _begin_outage(self, error: Exception) -> None:
        self._outage = str(error) if isinstance(error, REPAIRABLE) else reported(error)
        self._retry_at = time.time() + RETRY_SECONDS
        self._subject.forget_target()  # credentials may have expired

    def _sum(self, tenants: Mapping[str, Collection[str]]) -> None:
        aws = self._subject.target().aws
        answers = map_concurrently(lambda tenant: self._summed(aws, tenant, tenants[tenant]), tenants)
        sums = {tenant: one for tenant, one in zip(tenants, answers, strict=True) if isinstance(one, Sum)}
        if sums:
            self._sums, self._outage = {**self._sums, **sums}, None
        if time.time() - self._told_at > TOLD_SECONDS:
            self._tell()
        for error in answers:
            if isinstance(error, Exception):
                raise error

    def _summed(self, aws: Clients, tenant: str, names: Collection[str]) -> Sum | Exception:
        """Return the sum of a tenant's buckets, or the old one with its error; an error that all tenants have comes alone."""
        lists: list[float] = []

        def listed() -> None:
            if self._is_ending:
                raise EndedError
            lists.append(time.time())

        try:
            size = buckets.contents(aws, names, listed).size
        except Exception as error:
            if self._is_ending or (not lists and _is_of_all(error)):
                return error
            requests = len(lists) + len(names)  # up to one of each bucket failed
            due = time.time() + _age(requests, LEAST_AGE if _is_denied(error) else 0)
            return replace(self._sums.get(tenant, Sum(names)), due=due, error=_reason(error))
        now = time.time()
        return Sum(names, size, now, now + _age(len(lists), LEAST_AGE))

    def _tell(self) -> None:
        self.version += 1
        self._told_at = time.time()


def _age(requests: int, least: int) -> int:
    """Return how long a sum is kept that took so many LIST requests, in seconds."""
    return min(max(least, LIST_SECONDS * requests), MOST_AGE)


def _is_of_all(error: Exception) -> bool:
    """Tell whether the requests for all tenants have an error."""
    return isinstance(error, ERRORS_OF_ALL) or (isinstance(error, ClientError) and is_code(error, *CODES_OF_ALL))


def _is_denied(error: Exception) -> bool:
    return isinstance(error, ClientError) and is_code(error, "AccessDenied")


def _reason(error: Exception) -> str:
    """Return why a sum failed, with a remedy where there is one."""
    if not isinstance(error, (*REPAIRABLE, ResponseParserError)):
        return reported(error)
    return f"{error}. {DENIED}" if _is_denied(error) else str(error)
