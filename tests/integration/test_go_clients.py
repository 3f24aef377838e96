"""The embedded cloud's authority, verified by Go as in Prometheus, Cortex and Loki: kubectl is the client."""

from pathlib import Path

import pytest

from localcloud.certificate_authority import Authority
from localcloud.settings import STS_HOST, Settings
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from tests.support.certificates import served
from tests.support.shell import run


@pytest.mark.parametrize(
    ("name", "believed"),
    [
        ("localhost", True),
        ("cortex.default.showdown.opstrace.localhost", True),
        (STS_HOST, True),
        ("127.0.0.1", True),
        ("www.example.com", False),
        ("s3.us-west-2.amazonaws.com", False),
        ("192.0.2.1", False),
    ],
)
def test_go_believes_the_authority_for_its_own_names_alone(tmp_path: Path, name: str, believed: bool) -> None:
    settings = Settings(3, tmp_path / "home")
    (tmp_path / "config").write_text("{}")
    with served(tmp_path, Authority.of(settings).issue("server", names=[name])) as port:
        options = (
            f"--server=https://127.0.0.1:{port}",
            f"--certificate-authority={settings.ca}",
            f"--tls-server-name={name}",
        )
        kubectl = f"{ensure(catalog.KUBERNETES)}/kubectl"
        done = run(
            kubectl, *options, f"--kubeconfig={tmp_path}/config", "--token=none", "get", "--raw", "/", check=False
        )
    assert (done.returncode == 0) == believed, done.stderr
    assert believed or "is not permitted by any constraint" in done.stderr
