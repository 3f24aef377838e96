"""Certificates for what the account requested from ACM, signed by the embedded cloud's own authority.

Like ACM's, a certificate is there only once its domain is proven: its validation
record must stand in a hosted zone of the account.
"""

from typing import Any

from localcloud.files import write_whole
from localcloud.pki import Authority
from localcloud.settings import Settings


def _is_validated(certificate: dict[str, Any], proven: dict[str, str]) -> bool:
    wanted = [option.get("ResourceRecord") for option in certificate.get("DomainValidationOptions", [])]
    return bool(wanted) and all(
        record and proven.get(record["Name"].rstrip(".")) == record["Value"].rstrip(".") for record in wanted
    )


class Certificates:
    """The certificates issued so far, as files below `node/edge`; a name's files never change."""

    def __init__(self, settings: Settings, authority: Authority) -> None:
        self._folder = settings.node / "edge"
        self._authority = authority

    def files(self, certificate: dict[str, Any], proven: dict[str, str]) -> tuple[str, str] | None:
        """Return the paths of certificate and key for ACM's `certificate`, or None while it is not validated."""
        identity = certificate["CertificateArn"].rsplit("/", 1)[-1]
        path = self._folder / f"{identity}.pem"
        key_path = self._folder / f"{identity}-key.pem"
        if not path.exists():
            if not _is_validated(certificate, proven):
                return None
            names = list(dict.fromkeys([certificate["DomainName"], *certificate.get("SubjectAlternativeNames", [])]))
            pem, key = self._authority.issue(names[0], names=names)
            write_whole(key_path, key, 0o600)
            write_whole(path, pem)
        return str(path), str(key_path)
