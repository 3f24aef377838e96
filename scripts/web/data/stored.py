"""Bytes that the buckets of each tenant hold: sums of S3's lists, as `tenants list` makes them, while browsers look.

A list has 1,000 objects and costs money. So a sum is kept, and the longer the more lists it took.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

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
LIST_SECONDS = 360  # a sum is kept so long for each list that it took, so 10 lists of a tenant an hour at most
RETRY_SECONDS = 300  # after a refusal
DENIED = "Sums need the rights `s3:ListBucketVersions` and `s3:ListBucketMultipartUploads` on the buckets of tenants."
OF_CREDENTIALS = ("ExpiredToken", "InvalidAccessKeyId", "InvalidToken")  # errors that all requests have


@dataclass(frozen=True)
class Sum:
    """The stored bytes of a tenant.

    Attributes:
        buckets: The buckets of the sum.
        size: The bytes; None where S3 has always refused.
        at: When they were summed, in seconds since the epoch.
        due: When they are to be summed again.
        error: Why they could not be summed again; None where they were.
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
        self._rounds = Rounds("stored bytes", LOOK_SECONDS, self.read, is_watched)
        self.start, self.request = self._rounds.start, self._rounds.request

    def stop(self) -> None:
        """Sum no more. A sum that is being made ends with its next list."""
        self._is_ending = True
        self._rounds.stop()

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
        """The number of tenants that are still to be summed."""
        return len({*(self._buckets_of() or {})} - {*self._sums})

    @property
    def why(self) -> str | None:
        """Why sums are missing or old; None where S3 refuses none."""
        if self._outage:
            return f"Stored bytes: {self._outage}"
        refused = sorted((tenant, one.error) for tenant, one in self._sums.items() if one.error)
        if not refused:
            return None
        tenant, error = refused[0]
        others = f" and {len(refused) - 1} others" if len(refused) > 1 else ""
        return f"Stored bytes of {tenant}{others}: {error}"

    def read(self) -> None:
        """Sum what is due while browsers look. Errors are kept as reasons."""
        applied = self._buckets_of()
        if applied is None or time.time() < self._retry_at:
            return
        before = self._sums, self._outage
        self._sums = {tenant: one for tenant, one in self._sums.items() if tenant in applied}
        due = {tenant: names for tenant, names in applied.items() if self._is_due(tenant, names)}
        self._outage = self._sum_all(due)
        if (self._sums, self._outage) != before:
            self._tell()

    def _is_due(self, tenant: str, names: Collection[str]) -> bool:
        one = self._sums.get(tenant)
        return one is None or one.buckets != names or one.due <= time.time()

    def _sum_all(self, due: Mapping[str, Collection[str]]) -> str | None:
        """Sum tenants, some side by side; return what lets all fail, None where nothing does."""
        tenants = [*due]
        try:
            for first in range(0, len(tenants), AT_ONCE):
                if not self._is_watched():
                    break
                self._sum({tenant: due[tenant] for tenant in tenants[first : first + AT_ONCE]})
        except EndedError:
            return None
        except REPAIRABLE as error:
            why = str(error)
        except Exception as fault:
            why = reported(fault)
        else:
            return None
        self._retry_at = time.time() + RETRY_SECONDS
        self._subject.forget_target()  # credentials may have expired
        return why

    def _sum(self, tenants: Mapping[str, Collection[str]]) -> None:
        aws = self._subject.target().aws
        sums = map_concurrently(lambda tenant: self._summed(aws, tenant, tenants[tenant]), tenants)
        self._sums = {**self._sums, **dict(zip(tenants, sums, strict=True))}
        if time.time() - self._told_at > TOLD_SECONDS:
            self._tell()

    def _summed(self, aws: Clients, tenant: str, names: Collection[str]) -> Sum:
        """Return the sum of a tenant's buckets, or the old one with the reason why S3 refuses."""
        lists: list[float] = []

        def listed() -> None:
            if self._is_ending:
                raise EndedError
            lists.append(time.time())

        try:
            size = buckets.contents(aws, names, listed).size
        except ClientError as refused:
            if is_code(refused, *OF_CREDENTIALS):
                raise
            error = f"{refused}. {DENIED}" if is_code(refused, "AccessDenied") else str(refused)
            before = self._sums.get(tenant, Sum(names))
            return replace(before, buckets=names, due=time.time() + RETRY_SECONDS, error=error)
        now = time.time()
        return Sum(names, size, now, now + min(max(LEAST_AGE, LIST_SECONDS * len(lists)), MOST_AGE))

    def _tell(self) -> None:
        self.version += 1
        self._told_at = time.time()
