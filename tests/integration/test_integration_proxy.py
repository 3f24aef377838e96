"""Clients with written files send through the proxy that the file names."""

from dataclasses import replace
from pathlib import Path

import pytest

from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from scripts.integrations.catalog import FORMATS
from tests.support.client_process import running
from tests.support.failing_tenant import FailingTenant
from tests.support.integration_files import DOMAIN, plain
from tests.support.polling import eventually
from tests.support.ports import free_port


def with_proxy(name: str, folder: Path, proxy: str, changes: dict[str, str]) -> Path:
    """Write a format's file that names a proxy, for a tenant whose hosts no resolver knows."""
    integration = replace(plain(FORMATS[name]), proxy=proxy, folder=str(folder))
    (folder / "payments.jwt").write_text("the-token")
    text = FORMATS[name].contents(integration)[FORMATS[name].file]
    # A proxy sees plain requests; those by TLS go through a tunnel.
    changes |= {f"https://{api}.payments.{DOMAIN}": f"http://{api}.payments.invalid" for api in ("cortex", "loki")}
    for old, new in {**changes, f"/etc/{name}/payments.jwt": f"{folder}/payments.jwt"}.items():
        text = text.replace(old, new)
    file = folder / FORMATS[name].file
    file.write_text(text)
    return file


@pytest.mark.parametrize("name", ["prometheus", "otel"])
def test_a_client_sends_through_the_proxy_of_its_file(tmp_path: Path, name: str) -> None:
    proxy, port, log = FailingTenant(), free_port(), tmp_path / "client.log"
    proxy.fails = False
    changes = {"127.0.0.1:9090": f"127.0.0.1:{port}", "15s": "1s", "/var/log/*.log": f"{tmp_path}/app.log"}
    changes |= {f"127.0.0.1:{usual}": f"127.0.0.1:{free_port()}" for usual in (4317, 4318)}
    file = with_proxy(name, tmp_path, proxy.url, changes)
    (tmp_path / "app.log").write_text("an order\n")
    started = {
        "prometheus": [
            f"{ensure(catalog.PROMETHEUS)}/prometheus",
            "--storage.tsdb.path=tsdb",
            f"--web.listen-address=127.0.0.1:{port}",
            f"--config.file={file}",
        ],
        "otel": [
            f"{ensure(catalog.OTELCOL)}/otelcol",
            "--set=service::telemetry::metrics::level=none",  # its port may be in use
            f"--config={file}",
        ],
    }
    try:
        with running(started[name], tmp_path, log):
            eventually(lambda: "the-token" in proxy.tokens, 90, detail=lambda: log.read_text()[-3000:])
    finally:
        proxy.close()
