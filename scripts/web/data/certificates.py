"""The certificates of an instance in ACM, and their ends."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from components.core.errors import UserError
from components.core.units import DAY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from scripts.clients.aws import Clients

ISSUED = "ISSUED"
# ACM renews a certificate 60 days before its end (AWS Certificate Manager user guide, 'Managed certificate renewal').
SOON_DAYS = 45


@dataclass(frozen=True)
class Certificate:
    """A certificate: its name, its status in ACM, its end in seconds since the epoch, and the days until then.

    `ends` and `days` are None before it is issued.
    """

    name: str
    status: str
    ends: float | None
    days: int | None

    @property
    def is_good(self) -> bool:
        """Whether it is issued, and its end is not near."""
        return self.status == ISSUED and (self.days is None or self.days > SOON_DAYS)


def certificates(aws: Clients | Mapping[str, Any], domain: str) -> list[Certificate]:
    """Return the certificates of the instance with a domain, those that end first before others.

    Raises `UserError` where the credentials may not list them, and what AWS raises.
    """
    from scripts.checks.quotas import KEY_TYPES  # noqa: PLC0415 slow to import, and the page starts without it
    from scripts.checks.subject import Account, DeniedError  # noqa: PLC0415 as above

    try:
        listed = Account(aws).ask("acm", "list_certificates", Includes={"keyTypes": KEY_TYPES})
    except DeniedError as denied:
        raise UserError(f"The credentials may not list certificates: allow the IAM action {denied}.") from denied
    found = [one for one in listed["CertificateSummaryList"] if _is_of(domain, one["DomainName"].removeprefix("*."))]
    return sorted(map(_certificate, found), key=lambda one: (one.is_good, one.ends or 0, one.name))


def _is_of(domain: str, name: str) -> bool:
    return name == domain or name.endswith(f".{domain}")


def _certificate(summary: Mapping[str, Any]) -> Certificate:
    ends = summary["NotAfter"].timestamp() if "NotAfter" in summary else None
    days = None if ends is None else int((ends - time.time()) // DAY)
    status = str(summary.get("Status", "unknown"))
    return Certificate(str(summary["DomainName"]), status, ends, days)
