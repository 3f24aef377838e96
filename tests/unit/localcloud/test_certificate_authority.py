"""The names for which certificates of the embedded cloud's authority are valid, by OpenSSL and by curl."""

import datetime
import ipaddress
import socket
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from localcloud.certificate_authority import CA_NAME, Authority, constraints_of
from localcloud.moto.certificates import Certificates
from localcloud.settings import STS_HOST, Settings, UserCluster
from tests.support.certificates import served
from tests.support.shell import run

USER_CLUSTER = UserCluster(
    "kind", "/config", "https://192.0.2.9:6443", "https://issuer.example", ["172.18.0.2"], "172.18.0.1"
)
ISSUED = ["localhost", "showdown.opstrace.localhost", "*.default.showdown.opstrace.localhost", STS_HOST, "127.0.0.1"]
ELSEWHERE = ["www.example.com", "notlocalhost", "s3.us-west-2.amazonaws.com", "192.0.2.1", "127.0.0.2"]


@pytest.fixture(params=["node", "user cluster"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    return Settings(3, tmp_path / "home", USER_CLUSTER if request.param == "user cluster" else None)


def concrete(name: str) -> str:
    """Return a host name for which a certificate for `name` is valid."""
    return name.replace("*", "cortex")


def by_python(ca: Path, port: int, name: str) -> str | None:
    """Return the reason for which Python's ssl refuses the certificate, or None."""
    context = ssl.create_default_context(cafile=str(ca))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    try:
        with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain, server_hostname=name):
            return None
    except ssl.SSLCertVerificationError as error:
        return error.verify_message


def by_curl(ca: Path, port: int, name: str) -> str | None:
    """Return the reason for which curl refuses the certificate, or None."""
    to = ("--connect-to", f"{name}:{port}:127.0.0.1:{port}")
    done = run("curl", "-sS", "--noproxy", "*", "--cacert", str(ca), *to, f"https://{name}:{port}/", check=False)
    return done.stderr if done.returncode else None


@pytest.mark.parametrize("name", ISSUED)
def test_its_certificates_are_valid(settings: Settings, tmp_path: Path, name: str) -> None:
    pair = Authority.of(settings).issue("server", names=[name])
    with served(tmp_path, pair) as port:
        assert by_python(settings.ca, port, concrete(name)) is None
        assert by_curl(settings.ca, port, concrete(name)) is None


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_its_key_signs_for_another_name_is_believed_by_nobody(
    settings: Settings, tmp_path: Path, name: str
) -> None:
    pair = Authority.of(settings).issue("server", names=[name, "localhost"])
    with served(tmp_path, pair) as port:
        assert by_python(settings.ca, port, name) == "permitted subtree violation"
        assert "permitted subtree violation" in str(by_curl(settings.ca, port, name))


def test_the_constraints_are_critical_and_name_addresses_one_by_one(settings: Settings) -> None:
    authority = Authority.of(settings)
    extension = authority.certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert extension.critical
    networks = [entry.value for entry in extension.value.permitted_subtrees or () if isinstance(entry, x509.IPAddress)]
    assert {ipaddress.ip_network(str(network)).prefixlen for network in networks} == {32}
    assert ipaddress.ip_network(settings.aws_address) in networks


def test_it_may_only_issue_for_names_below_localhost(settings: Settings) -> None:
    authority = Authority.of(settings)
    assert authority.may_issue(["showdown.opstrace.localhost", "*.default.showdown.opstrace.localhost"])
    assert not authority.may_issue(["showdown.opstrace.localhost", "example.com"])
    assert not authority.may_issue(["evillocalhost"])


def unconstrained(settings: Settings) -> x509.Certificate:
    """Create an authority without constraints, like former versions."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(CA_NAME)
        .issuer_name(CA_NAME)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    settings.pki.mkdir(parents=True)
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (settings.pki / "ca-key.pem").write_bytes(pem)
    settings.ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return certificate


def test_an_authority_of_a_former_version_keeps_its_key_and_gets_constraints(
    settings: Settings, tmp_path: Path
) -> None:
    former = unconstrained(settings)
    (tmp_path / "former.pem").write_bytes(settings.ca.read_bytes())
    authority = Authority.of(settings)
    assert constraints_of(former) is None and constraints_of(authority.certificate) is not None
    assert authority.certificate.public_key() == former.public_key()
    assert x509.load_pem_x509_certificate(settings.ca.read_bytes()) == authority.certificate
    # A pod that still has the former certificate accepts new certificates.
    with served(tmp_path, authority.issue("aws", names=[STS_HOST])) as port:
        assert by_curl(tmp_path / "former.pem", port, STS_HOST) is None


def test_an_authority_stays_as_it_is_until_its_names_change(settings: Settings) -> None:
    first = Authority.of(settings)
    assert Authority.of(settings).certificate == first.certificate
    moved = replace(settings, user_cluster=replace(USER_CLUSTER, address="172.18.0.9"))
    second = Authority.of(moved)
    assert second.certificate != first.certificate and second.key.private_numbers() == first.key.private_numbers()


def test_the_key_is_its_owner_s_alone(settings: Settings) -> None:
    Authority.of(settings)
    assert (settings.pki / "ca-key.pem").stat().st_mode & 0o777 == 0o600
    assert settings.pki.stat().st_mode & 0o777 == 0o700


def test_acm_issues_no_certificate_that_would_be_invalid(settings: Settings) -> None:
    (settings.node / "edge").mkdir(parents=True)
    certificates = Certificates(settings, Authority.of(settings))

    def issued(name: str) -> bool:
        record = {"Name": f"_x.{name}.", "Value": "_y.acm-validations.aws."}
        request = {
            "CertificateArn": f"arn:aws:acm:us-west-2:123456789012:certificate/{name}",
            "DomainName": name,
            "DomainValidationOptions": [{"ResourceRecord": record}],
        }
        return certificates.files(request, {f"_x.{name}": "_y.acm-validations.aws"}) is not None

    assert issued("showdown.opstrace.localhost")
    assert not issued("showdown.example.com")
