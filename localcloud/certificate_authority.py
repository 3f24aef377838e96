"""The embedded cloud's certificate authority and the certificates that it signs."""

import datetime
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from localcloud.files import write_whole
from localcloud.settings import SERVICE_ADDRESS, STS_HOST, Settings

LIFE = datetime.timedelta(days=365)
CLOCK_SLACK = datetime.timedelta(minutes=5)
CA_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Opstrace embedded cloud")])


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _alternative_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def issued_for(settings: Settings) -> list[str]:
    """Return the names and addresses for which a cloud's authority issues certificates; a name includes its subdomains."""
    names = ["localhost", STS_HOST, "127.0.0.1", settings.aws_address]
    if not settings.user_cluster:
        names += ["kubernetes", "kubernetes.default", "kubernetes.default.svc", SERVICE_ADDRESS, settings.name]
    return names


def _constraints(names: Sequence[str]) -> x509.NameConstraints:
    """Return the constraint that certificates of the authority are valid for these names only (RFC 5280, 4.2.1.10)."""
    permitted: list[x509.GeneralName] = []
    for name in dict.fromkeys(names):
        entry = _alternative_name(name)
        if isinstance(entry, x509.IPAddress):
            entry = x509.IPAddress(ipaddress.ip_network(name))
        permitted.append(entry)
    return x509.NameConstraints(permitted, None)


@dataclass(frozen=True)
class Authority:
    """A certificate authority. Its key stays in one file of mode 0600; its certificates are valid for one cloud's names."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def of(cls, settings: Settings) -> "Authority":
        """Return the authority of a cloud (`pki/ca.pem`, `pki/ca-key.pem`); creates it on first use.

        An authority for other names, as older versions created them, gets a new certificate and keeps its key. So clients
        that trust the old certificate, as pods do until the next update of their stack, also trust new certificates.
        """
        constraints, folder = _constraints(issued_for(settings)), settings.pki
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        certificate_file, key_file = folder / "ca.pem", folder / "ca-key.pem"
        key: object = None
        if certificate_file.exists() and key_file.exists():
            certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
            still_good = certificate.not_valid_after_utc > datetime.datetime.now(datetime.UTC) + LIFE / 12
            key = serialization.load_pem_private_key(key_file.read_bytes(), None) if still_good else None
            if isinstance(key, ec.EllipticCurvePrivateKey) and constraints_of(certificate) == constraints:
                return cls(key, certificate)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            key = ec.generate_private_key(ec.SECP256R1())
            write_whole(key_file, _pem(key), 0o600)
        certificate = _self_signed(key, constraints)
        write_whole(certificate_file, certificate.public_bytes(serialization.Encoding.PEM))
        return cls(key, certificate)

    def may_issue(self, names: Iterable[str]) -> bool:
        """Tell whether a certificate for these DNS names would be valid under the name constraints."""
        constraints = constraints_of(self.certificate)
        permitted = (constraints and constraints.permitted_subtrees) or ()
        bases = [str(entry.value) for entry in permitted if isinstance(entry, x509.DNSName)]
        return all(any(name == base or name.endswith(f".{base}") for base in bases) for name in names)

    def issue(self, common_name: str, *, organization: str = "", names: list[str] | None = None) -> tuple[bytes, bytes]:
        """Return a new certificate and its private key, both PEM.

        With `names` (DNS names or IP addresses) the certificate is for a server, else for a client. Kubernetes uses the
        common name as the user and the organization as the group.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])]
        if organization:
            subject.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if names else ExtendedKeyUsageOID.CLIENT_AUTH
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(subject))
            .issuer_name(CA_NAME)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - CLOCK_SLACK)
            .not_valid_after(now + LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if names:
            alternatives = x509.SubjectAlternativeName([_alternative_name(name) for name in names])
            builder = builder.add_extension(alternatives, critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM), _pem(key)


def constraints_of(certificate: x509.Certificate) -> x509.NameConstraints | None:
    """Return a certificate's name constraints, None if it has none."""
    try:
        return certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None


def _self_signed(key: ec.EllipticCurvePrivateKey, constraints: x509.NameConstraints) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    usage = dict.fromkeys(("content_commitment", "data_encipherment", "encipher_only"), False)
    usage |= dict.fromkeys(("decipher_only", "key_agreement", "key_encipherment"), False)
    return (
        x509.CertificateBuilder()
        .subject_name(CA_NAME)
        .issuer_name(CA_NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SLACK)
        .not_valid_after(now + 5 * LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, **usage), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(constraints, critical=True)
        .sign(key, hashes.SHA256())
    )


def write_pair(path: Path, pair: tuple[bytes, bytes]) -> None:
    """Write a certificate to `<path>.pem` and its private key to `<path>-key.pem`."""
    write_whole(path.with_suffix(".pem"), pair[0])
    write_whole(Path(f"{path}-key.pem"), pair[1], 0o600)


def signing_key() -> bytes:
    """Return a new private RSA key, PEM, with which the API server signs service account tokens."""
    return _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))
