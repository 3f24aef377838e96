"""Clients with written files while the gateway refuses their data: nothing is dropped."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from tests.support.failing_tenant import FailingTenant
from tests.support.integration_files import DOMAIN, written
from tests.support.polling import eventually
from tests.support.ports import free_port

LINES = 50


@pytest.fixture
def tenant() -> Iterator[FailingTenant]:
    made = FailingTenant()
    yield made
    made.close()


@contextmanager
def killed_at_the_end(words: list[str], folder: Path) -> Iterator[None]:
    """Run a program in a folder until the block ends, and end it as the restart of a node does, without a warning."""
    with (folder / "client.log").open("a") as log:
        process = subprocess.Popen(words, cwd=folder, stdout=log, stderr=log)
    try:
        yield
        assert process.poll() is None
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


def said(folder: Path) -> str:
    return (folder / "client.log").read_text()[-3000:]


def changed(file: Path, changes: dict[str, str]) -> Path:
    """Replace texts in a written file, each of which must be there."""
    text = file.read_text()
    for old, new in changes.items():
        assert old in text, f"{file.name} has no {old}"
        text = text.replace(old, new)
    file.write_text(text)
    return file


def append(log: Path, *lines: str) -> None:
    with log.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def test_a_collector_loses_no_line_while_the_gateway_refuses_them_and_its_node_restarts(
    tmp_path: Path, tenant: FailingTenant
) -> None:
    changes = {f"https://{api}.payments.{DOMAIN}": tenant.url for api in ("cortex", "loki")}
    changes |= {"127.0.0.1:4317": f"127.0.0.1:{free_port()}", "127.0.0.1:4318": f"127.0.0.1:{free_port()}"}
    changes |= {"/var/log/*.log": f"{tmp_path}/app*.log", "initial_interval: 1s": "initial_interval: 100ms"}
    changes |= {"max_interval: 15s": "max_interval: 500ms"}
    file = changed(written("otel", "plain", tmp_path), changes)
    words = [f"{ensure(catalog.OTELCOL)}/otelcol", f"--config={file}"]
    # The lines are to be read in the bodies; the port of its own metrics may be in use.
    words += [f"--set=exporters::otlp_http/logs-payments::{name}" for name in ("encoding=json", "compression=none")]
    words.append("--set=service::telemetry::metrics::level=none")
    lines = [f"order {number:03} of the day" for number in range(LINES)]
    log = tmp_path / "app-1.log"
    log.touch()
    with killed_at_the_end(words, tmp_path):
        eventually(lambda: "Everything is ready" in said(tmp_path), detail=lambda: said(tmp_path))

        def is_refused() -> bool:
            append(log, "one more")
            return tenant.has_refused_in_every_way()

        eventually(is_refused, detail=lambda: said(tmp_path))
        append(log, *lines[: LINES // 2])
        eventually(lambda: lines[LINES // 2 - 1].encode() in queue(tmp_path), detail=lambda: said(tmp_path))
    append(log, *lines[LINES // 2 :])
    tenant.fails = False
    with killed_at_the_end(words, tmp_path):

        def have_arrived() -> bool:
            received = b"".join(tenant.accepted)
            return all(line.encode() in received for line in lines)

        eventually(have_arrived, detail=lambda: said(tmp_path))


def queue(folder: Path) -> bytes:
    """Return what the Collector keeps on disk."""
    return b"".join(path.read_bytes() for path in (folder / "queue").iterdir())


def test_a_prometheus_sends_again_what_the_gateway_refused(tmp_path: Path, tenant: FailingTenant) -> None:
    port = free_port()
    changes = {f"https://cortex.payments.{DOMAIN}": tenant.url, "127.0.0.1:9090": f"127.0.0.1:{port}", "15s": "1s"}
    file = changed(written("prometheus", "plain", tmp_path), changes)
    words = [f"{ensure(catalog.PROMETHEUS)}/prometheus", f"--config.file={file}", "--storage.tsdb.path=tsdb"]
    with killed_at_the_end([*words, f"--web.listen-address=127.0.0.1:{port}"], tmp_path):
        eventually(tenant.has_refused_in_every_way, detail=lambda: said(tmp_path))
        tenant.fails = False
        refused = {body for bodies in tenant.refused.values() for body in bodies}
        eventually(lambda: refused <= {*tenant.accepted}, detail=lambda: said(tmp_path))
