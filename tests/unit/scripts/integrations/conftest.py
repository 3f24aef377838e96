"""Fixtures: an instance with three tenants, its key pair, and tokens of it in files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from localcloud.certificate_authority import Authority
from localcloud.settings import Settings
from scripts.tokens.key_files import write_secret
from scripts.tokens.signing import Grant, Signer
from tests.support.factories import PAIR, settings

MakeToken = Callable[..., Path]


@pytest.fixture
def stack_settings() -> dict[str, Any]:
    return settings(tenants=[{"name": name} for name in ("default", "payments", "checkout")])


@pytest.fixture
def key_pair(tmp_path: Path) -> Path:
    """A file with the key pair that the instance trusts."""
    file = tmp_path / "keys.pem"
    write_secret(file, PAIR.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return file


@pytest.fixture
def token(tmp_path: Path) -> MakeToken:
    """Returns a file with a token for a tenant of the instance `showdown`."""

    def make(tenant: str, *scopes: str, name: str = "", **changes: Any) -> Path:
        grant = Grant(**({"instance": "showdown", "tenant": tenant, "scopes": scopes or None} | changes))
        file = tmp_path / (name or f"{tenant}.jwt")
        write_secret(file, Signer(PAIR).token(grant).encode())
        return file

    return make


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A CA for names below `opstrace.localhost`; its certificate is in `ca_file`."""
    return Authority.of(Settings(3, tmp_path / "cloud"))


@pytest.fixture
def ca_file(tmp_path: Path, authority: Authority) -> Path:
    file = tmp_path / "own-ca.pem"
    file.write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    return file
