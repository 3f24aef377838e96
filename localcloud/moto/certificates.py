"""Certificates for the account's requests to ACM, signed by the embedded cloud's own authority.

As in ACM, a certificate is issued once its validation record is in a hosted zone of the account.
"""

import logging
from typing import Any

from localcloud.certificate_authority import Authority
from localcloud.files import write_whole
from localcloud.settings import Settings

log = logging.getLogger("certificates")


def _is_validated(certificate: dict[str, Any], records: dict[str, str]) -> bool:
    expected = [option.get("ResourceRecord") for option in certificate.get("DomainValidationOptions", [])]
    return bool(expected) and all(
        record and records.get(record["Name"].rstrip(".")) == record["Value"].rstrip(".") for record in expected
    )


class Certificates:
    """The issued certificates, as files in `node/edge`; a certificate's files never change."""

    def __init__(self, settings: Settings, authority: Authority) -> None:
        self._folder = settings.node / "edge"
        self._authority = authority

    def files(self, certificate: dict[str, Any], records: dict[str, str]) -> tuple[str, str] | None:
        """Return the paths of certificate and key for ACM's `certificate`, None before it is validated.

        `records` maps the names of the account's CNAME records to their values.
        """
        identity = certificate["CertificateArn"].rsplit("/", 1)[-1]
        path = self._folder / f"{identity}.pem"
        key_path = self._folder / f"{identity}-key.pem"
        if not path.exists():
            if not _is_validated(certificate, records):
                return None
            names = list(dict.fromkeys([certificate["DomainName"], *certificate.get("SubjectAlternativeNames", [])]))
            if not self._authority.may_issue(names):
                log.warning(
                    "no certificate for %s: this cloud's authority only issues for names below localhost", names
                )
                return None
            pem, key = self._authority.issue(names[0], names=names)
            write_whole(key_path, key, 0o600)
            write_whole(path, pem)
        return str(path), str(key_path)
