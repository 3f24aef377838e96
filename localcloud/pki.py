"""The embedded cloud's certificate authority and the certificates that it signs."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from localcloud.files import write_whole

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


@dataclass(frozen=True)
class Authority:
    """A certificate authority whose key stays in one 0600 file."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def load_or_create(cls, folder: Path) -> "Authority":
        """Return the authority in `folder` (`ca.pem`, `ca-key.pem`), making it on first use."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        certificate_file, key_file = folder / "ca.pem", folder / "ca-key.pem"
        if certificate_file.exists() and key_file.exists():
            certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
            key = serialization.load_pem_private_key(key_file.read_bytes(), None)
            still_good = certificate.not_valid_after_utc > datetime.datetime.now(datetime.UTC) + LIFE / 12
            if still_good and isinstance(key, ec.EllipticCurvePrivateKey):
                return cls(key, certificate)
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        usage = dict.fromkeys(("content_commitment", "data_encipherment", "encipher_only"), False)
        usage |= dict.fromkeys(("decipher_only", "key_agreement", "key_encipherment"), False)
        certificate = (
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
            .sign(key, hashes.SHA256())
        )
        write_whole(key_file, _pem(key), 0o600)
        write_whole(certificate_file, certificate.public_bytes(serialization.Encoding.PEM))
        return cls(key, certificate)

    def issue(self, common_name: str, *, organization: str = "", names: list[str] | None = None) -> tuple[bytes, bytes]:
        """Return a new certificate and its private key, both PEM.

        With `names` (DNS names or IP addresses) it is a server's certificate, else a client's;
        Kubernetes takes the common name for the user and the organization for the group.
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


def write_pair(path: Path, pair: tuple[bytes, bytes]) -> None:
    """Write a certificate to `<path>.pem` and its private key to `<path>-key.pem`."""
    write_whole(path.with_suffix(".pem"), pair[0])
    write_whole(Path(f"{path}-key.pem"), pair[1], 0o600)


def signing_key() -> bytes:
    """Return a new RSA key, PEM, with which the API server signs service account tokens."""
    return _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))
