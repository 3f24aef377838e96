"""Clients with written files while the gateway refuses their data, or their token is replaced: nothing is dropped."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from components.collectors.settings import CollectorQueues
from localcloud.files import replace_whole
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from tests.support.collector_faults import SMALL_BYTES
from tests.support.failing_tenant import FailingTenant
from tests.support.integration_files import DOMAIN, written
from tests.support.polling import eventually
from tests.support.ports import free_port

LINES = 50
MANY_LINES, LINE_CHARACTERS = 3000, 200  # more than the small queue holds
NOTHING: Mapping[str, str] = {}


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


def collector(folder: Path, tenant: FailingTenant, changes: Mapping[str, str] = NOTHING) -> list[str]:
    """Return the command line of a Collector that follows log files in a folder, with these changes of its file."""
    quick = {f"https://{api}.payments.{DOMAIN}": tenant.url for api in ("cortex", "loki")}
    quick |= {"127.0.0.1:4317": f"127.0.0.1:{free_port()}", "127.0.0.1:4318": f"127.0.0.1:{free_port()}"}
    quick |= {"/var/log/*.log": f"{folder}/app*.log", "initial_interval: 1s": "initial_interval: 100ms"}
    quick |= {"max_interval: 15s": "max_interval: 500ms"}
    file = changed(written("otel", "plain", folder), quick | dict(changes))
    words = [f"{ensure(catalog.OTELCOL)}/otelcol", f"--config={file}"]
    # The lines are to be read in the bodies; the port of its own metrics may be in use.
    words += [f"--set=exporters::otlp_http/logs-payments::{name}" for name in ("encoding=json", "compression=none")]
    return [*words, "--set=service::telemetry::metrics::level=none"]


def test_a_collector_loses_no_line_while_the_gateway_refuses_them_and_its_node_restarts(
    tmp_path: Path, tenant: FailingTenant
) -> None:
    words = collector(tmp_path, tenant)
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
        eventually(lambda: tenant.has(lines), detail=lambda: said(tmp_path))


def test_lines_that_do_not_fit_into_the_queue_of_a_collector_wait_in_their_files(
    tmp_path: Path, tenant: FailingTenant
) -> None:
    """The queue has room for a part of the lines; nothing reads them again but the reader of files."""
    size = CollectorQueues().size("loki")
    words = collector(tmp_path, tenant, {f"queue_size: {size}": f"queue_size: {SMALL_BYTES}"})
    lines = [f"order {number:05} of the day ".ljust(LINE_CHARACTERS, "x") for number in range(MANY_LINES)]
    (tmp_path / "app-1.log").touch()
    with killed_at_the_end(words, tmp_path):
        eventually(lambda: "Everything is ready" in said(tmp_path), detail=lambda: said(tmp_path))
        append(tmp_path / "app-1.log", *lines)
        eventually(tenant.has_refused_in_every_way, detail=lambda: said(tmp_path))
        append(tmp_path / "app-1.log", "the last one")
        tenant.fails = False
        eventually(lambda: tenant.has(["the last one", *lines]), detail=lambda: said(tmp_path))


def queue(folder: Path) -> bytes:
    """Return what the Collector keeps on disk."""
    return b"".join(path.read_bytes() for path in (folder / "queue").iterdir())


def prometheus(folder: Path, tenant: FailingTenant, port: int) -> list[str]:
    """Return the command that starts Prometheus with a written file; it scrapes itself."""
    changes = {f"https://cortex.payments.{DOMAIN}": tenant.url, "127.0.0.1:9090": f"127.0.0.1:{port}", "15s": "1s"}
    file = changed(written("prometheus", "plain", folder), changes)
    words = [f"{ensure(catalog.PROMETHEUS)}/prometheus", f"--config.file={file}", "--storage.tsdb.path=tsdb"]
    return [*words, f"--web.listen-address=127.0.0.1:{port}"]


def replace_token(folder: Path, token: str) -> None:
    """Replace the token file as `write` does: by a move."""
    replace_whole(folder / "payments.jwt", token)


def test_a_collector_loses_no_line_when_its_token_is_replaced_and_the_old_one_is_revoked(
    tmp_path: Path, tenant: FailingTenant
) -> None:
    tenant.fails = False
    words = collector(tmp_path, tenant)
    log, lines = tmp_path / "app-1.log", list[str]()
    log.touch()

    def sends_with(token: str) -> bool:
        lines.append(f"order {len(lines):03} of the day")
        append(log, lines[-1])
        return token in tenant.tokens

    replace_token(tmp_path, "first")
    with killed_at_the_end(words, tmp_path):
        eventually(lambda: sends_with("first"), 90, detail=lambda: said(tmp_path))
        replace_token(tmp_path, "second")
        eventually(lambda: sends_with("second"), 90, detail=lambda: said(tmp_path))
        tenant.revoked.add("first")
        for _ in range(LINES):
            sends_with("second")
        eventually(lambda: tenant.has(lines), 90, detail=lambda: said(tmp_path))
    assert tenant.unauthorized == []


def test_a_prometheus_sends_all_samples_when_its_token_is_replaced_and_the_old_one_is_revoked(
    tmp_path: Path, tenant: FailingTenant
) -> None:
    tenant.fails, port = False, free_port()
    words = prometheus(tmp_path, tenant, port)
    replace_token(tmp_path, "first")
    with killed_at_the_end(words, tmp_path):
        eventually(lambda: "first" in tenant.tokens, 90, detail=lambda: said(tmp_path))
        replace_token(tmp_path, "second")
        eventually(lambda: "second" in tenant.tokens, 90, detail=lambda: said(tmp_path))
        tenant.revoked.add("first")
        before = len(tenant.accepted)
        eventually(lambda: len(tenant.accepted) > before + 3, 90, detail=lambda: said(tmp_path))
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
            own = answer.read().decode()
    assert tenant.unauthorized == []
    failed = re.findall(
        r"^prometheus_remote_storage_(?:samples|metadata)_(?:failed|dropped)_total\{.*\} (.+)$", own, re.M
    )
    assert failed and {float(value) for value in failed} == {0}


def test_a_prometheus_sends_again_what_the_gateway_refused(tmp_path: Path, tenant: FailingTenant) -> None:
    words = prometheus(tmp_path, tenant, free_port())
    with killed_at_the_end(words, tmp_path):
        eventually(tenant.has_refused_in_every_way, detail=lambda: said(tmp_path))
        tenant.fails = False
        refused = {body for bodies in tenant.refused.values() for body in bodies}
        eventually(lambda: refused <= {*tenant.accepted}, detail=lambda: said(tmp_path))
