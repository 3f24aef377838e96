"""Integrations by the commands of their page: real clients start from the written files, and `check` tells the truth."""

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from localcloud.certificate_authority import Authority
from localcloud.settings import Settings
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from tests.support.client_process import running
from tests.support.integration_data import WAIT, check, lines, values
from tests.support.polling import eventually
from tests.support.ports import free_port
from tests.support.shell import ROOT, run
from tests.support.user_session import DOMAIN, INSTANCE, UserSession, commands, url

PAGE = "how-to/integrations.md"
TENANTS = ("default", "system")  # of namespaces
THIRD = "shop"  # of the clients of one tenant
HOSTS = "127.0.0.1 localhost " + " ".join(
    f"{api}.{tenant}.{DOMAIN}" for api in ("cortex", "loki") for tenant in (*TENANTS, THIRD)
)
BRIEFLY = ("--wait", "3")
NAMESPACES = {"team-a": "default", "team-b": "system", "team-c": "default"}  # by the page's map; the last is in none


class Followed:
    """The folder in which the commands of the page ran, and the integration IDs that they printed."""

    def __init__(self, folder: Path, ids: list[str]) -> None:
        self.folder = folder
        self.prometheus, self.otel, self.promtail, self.routed, self.cluster, self.chart, self.grafana = ids

    def file(self, name: str, changes: dict[str, str]) -> Path:
        """Return a written file after some texts in it were replaced, such as ports that are in use."""
        path = self.folder / name
        text = path.read_text()
        for old, new in changes.items():
            assert old in text, f"{name} has no {old}"
            text = text.replace(old, new)
        path.write_text(text)
        return path


@pytest.fixture(scope="module")
def third(walk: UserSession, trusted_pair: str) -> Iterator[str]:
    """A tenant of this module alone."""
    walk.opstrace("tenants", "add", "local", INSTANCE, THIRD)
    walk.opstrace("ta-create-token", INSTANCE, THIRD, trusted_pair, "--out", f"tenant-api-token-{THIRD}")

    def answers() -> bool:
        paths = {"cortex": "/api/v1/labels", "loki": "/loki/api/v1/labels"}
        return all(walk.curl(url(api, THIRD, path), token=walk.token(THIRD))[0] == 200 for api, path in paths.items())

    eventually(answers, 120)
    yield THIRD
    walk.opstrace("tenants", "remove", "local", INSTANCE, THIRD, "--purge", "--yes")


@pytest.fixture(scope="module")
def followed(walk: UserSession, trusted_pair: str, third: str) -> Followed:
    """What a user has who followed the page up to the start of the clients, those of one tenant for the third one."""
    files = walk.folder / "integrations"
    files.mkdir()
    (files / "keypair.pem").symlink_to(trusted_pair)
    of_one = [block for block in commands(PAGE) if "--namespace-map" not in block and "--secret" not in block]
    shown = [block.replace(" default ", f" {third} ") if block in of_one else block for block in commands(PAGE)]
    folder, printed = walk.follow(shown, files / "keypair.pem")
    return Followed(folder, printed.split())


def start(name: str) -> str:
    """Return the command of the page that starts the client of a format."""
    (table,) = re.findall(r"^## Start the client\n(.*?)^## ", (ROOT / "docs" / PAGE).read_text(), re.M | re.S)
    (command,) = re.findall(rf"^\| `{name}` \| `(.*)` \|$", table, re.M)
    return str(command)


@contextmanager
def prometheus(followed: Followed, port: int) -> Iterator[Path]:
    """Run the real Prometheus with the file of the page, which scrapes itself; yields its log."""
    followed.file("conf/prometheus.yml", {"127.0.0.1:9090": f"127.0.0.1:{port}", "15s": "1s"})
    log = followed.folder / "prometheus.log"
    words = [f"{ensure(catalog.PROMETHEUS)}/{start('prometheus')}", f"--web.listen-address=127.0.0.1:{port}"]
    with running(words, followed.folder, log, HOSTS):
        yield log


def test_a_prometheus_started_from_the_written_file_fills_the_tenant_and_the_check_is_true(
    walk: UserSession, followed: Followed, trusted_pair: str
) -> None:
    token = followed.folder / "conf" / f"{THIRD}.prometheus.jwt"
    good, options = token.read_text(), ("--token-file", str(token), "--data", "metrics")
    reading = walk.opstrace("ta-create-token", INSTANCE, THIRD, trusted_pair, "--scope", "logs:read").stdout
    token.write_text(reading)
    with prometheus(followed, free_port()) as log:
        eventually(lambda: "server returned HTTP status 401" in log.read_text(), detail=log.read_text)
        status, found = check(walk, THIRD, followed.prometheus, *options, *BRIEFLY)
        assert (status, found[-1]["name"], found[-1]["level"]) == (1, "token", "error")
        assert "scope does not cover metrics:write" in found[-1]["message"]
        token.write_text(good)  # Prometheus reads it again for its next request
        status, found = check(walk, THIRD, followed.prometheus, *options, *WAIT)
        assert (status, [one["name"] for one in found]) == (0, ["gateway", "push", "query", "data"]), found
    series = values(walk, THIRD, f'up{{integration_id="{followed.prometheus}"}}')
    assert [one["metric"]["job"] for one in series] == ["shop"]
    assert values(walk, "default", f'{{integration_id="{followed.prometheus}"}}') == []
    assert good not in log.read_text()


def send_by_otlp(port: int, namespace: str) -> None:
    """Send a gauge and a line of a namespace to the Collector, as an instrumented app does."""
    attributes = [{"key": "k8s.namespace.name", "value": {"stringValue": namespace}}]
    resource = {"attributes": [*attributes, {"key": "service.name", "value": {"stringValue": "shop"}}]}
    now = str(time.time_ns())
    gauge = {"name": "routed_orders", "gauge": {"dataPoints": [{"timeUnixNano": now, "asDouble": 1}]}}
    line = {"timeUnixNano": now, "body": {"stringValue": f"a line of {namespace}"}}
    bodies = {
        "metrics": {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [gauge]}]}]},
        "logs": {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [line]}]}]},
    }
    for kind, body in bodies.items():
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/{kind}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 the Collector on loopback
            assert answer.status == 200


def collector(followed: Followed, folder: str, changes: dict[str, str]) -> tuple[list[str], Path]:
    """Return the command that starts the Collector with a file of the page, and its log."""
    ports = {"127.0.0.1:4317": f"127.0.0.1:{free_port()}", "15s": "1s"}
    followed.file(f"{folder}/otelcol.yaml", ports | changes)
    command = start("otel").replace("collector/", f"{folder}/")
    level = "--set=service::telemetry::metrics::level=none"  # its port may be in use
    # The program here has another name: it is built of some of the components of otelcol-contrib.
    started = command.replace("otelcol-contrib", f"{ensure(catalog.OTELCOL)}/otelcol")
    return [started, level], followed.folder / f"{folder}.log"


def test_one_collector_fills_two_tenants_by_namespace(walk: UserSession, followed: Followed) -> None:
    port = free_port()
    logs = followed.folder / "logs"
    logs.mkdir()
    changes = {"127.0.0.1:4318": f"127.0.0.1:{port}", "/var/log/*.log": f"{logs}/*.log"}
    words, log = collector(followed, "routed", changes)
    with running(words, followed.folder, log, HOSTS):
        eventually(lambda: "Everything is ready" in log.read_text(), detail=log.read_text)
        for namespace in NAMESPACES:
            send_by_otlp(port, namespace)
        for tenant in TENANTS:
            status, found = check(walk, tenant, followed.routed, "--data", "metrics", "--data", "logs", *WAIT)
            assert status == 0, (found, log.read_text()[-3000:])

    for tenant in TENANTS:
        own = [namespace for namespace, to in NAMESPACES.items() if to == tenant]

        def has_its_own(tenant: str = tenant, own: list[str] = own) -> bool:
            found = lines(walk, tenant, f'{{service_name="shop"}} | integration_id=`{followed.routed}`')
            return sorted(found) == [f"a line of {namespace}" for namespace in own]

        eventually(has_its_own, detail=log.read_text)
        series = values(walk, tenant, f'routed_orders{{integration_id="{followed.routed}"}}')
        assert [one["metric"]["job"] for one in series] == ["shop"]


def test_a_collector_follows_files_and_the_check_is_false_until_it_runs(walk: UserSession, followed: Followed) -> None:
    logs = followed.folder / "app"
    logs.mkdir()
    token = ("--token-file", str(followed.folder / "write.jwt"), "--data", "logs")
    status, found = check(walk, THIRD, followed.otel, *token, *BRIEFLY)
    assert (status, found[-1]["name"]) == (1, "data") and [one["level"] for one in found[:-1]] == ["ok"] * 3
    changes = {"127.0.0.1:4318": f"127.0.0.1:{free_port()}", "/var/log/app/*.log": f"{logs}/*.log"}
    words, log = collector(followed, "collector", changes)
    with running(words, followed.folder, log, HOSTS):

        def arrives() -> bool:
            with (logs / "app.log").open("a") as file:
                file.write("an order\n")
            return check(walk, THIRD, followed.otel, *token, *BRIEFLY)[0] == 0

        eventually(arrives, 90, detail=log.read_text)


def test_the_script_of_curl_sends_a_sample_and_a_line(walk: UserSession, followed: Followed) -> None:
    out = followed.folder / "sent"
    options = ("--token-file", str(followed.folder / "write.jwt"), "--output", str(out))
    integration = walk.opstrace("integrations", "write", "local", INSTANCE, THIRD, "curl", *options).stdout.strip()
    run(*start("curl").replace("conf/", f"{out}/").split())
    status, found = check(walk, THIRD, integration, "--data", "metrics", "--data", "logs", *WAIT)
    assert status == 0, found


def test_the_token_of_grafana_reads_and_sends_no_probe(walk: UserSession, followed: Followed) -> None:
    token = ("--token-file", str(followed.folder / "grafana" / f"{THIRD}.grafana.jwt"))
    status, found = check(walk, THIRD, followed.grafana, *token, "--reads", *BRIEFLY)
    assert (status, [one["name"] for one in found]) == (0, ["gateway", "query", "query"]), found
    writing = ("--token-file", str(followed.folder / "write.jwt"))
    status, found = check(walk, THIRD, followed.grafana, *writing, "--reads", *BRIEFLY)
    assert (status, found[-1]["name"]) == (1, "token")
    assert "scope does not cover metrics:read (the token lacks metrics:read)" in found[-1]["message"]
    assert values(walk, THIRD, f'{{integration_id="{followed.grafana}"}}') == []


def test_a_ca_or_a_tenant_that_is_wrong_is_told_by_the_check_and_refused_by_write(
    walk: UserSession, followed: Followed, tmp_path: Path
) -> None:
    Authority.of(Settings(3, tmp_path))  # of another cloud
    (other,) = tmp_path.rglob("ca.pem")
    status, found = check(walk, THIRD, followed.prometheus, "--ca-file", str(other), *BRIEFLY)
    assert (status, [one["name"] for one in found]) == (1, ["TLS"])
    token = ("--token-file", str(followed.folder / "write.jwt"))
    write = ("integrations", "write", "local", INSTANCE)
    refused = walk.opstrace(
        *write, THIRD, "prometheus", *token, "--ca-file", str(other), "--output", str(tmp_path / "conf"), check=False
    )
    host = f"cortex.{THIRD}.{DOMAIN}"
    assert f"error: --ca-file {other} does not fit: the certificate of {host} is not trusted: " in refused.stderr
    # The token of a tenant at the host of another.
    status, found = check(walk, "system", followed.prometheus, *token, *BRIEFLY)
    assert (status, found[-1]["name"]) == (1, "token")
    why = f"unexpected tenant: {THIRD} (its subject (sub) is 'tenant-{THIRD}', but the tenant is system)"
    assert why in found[-1]["message"]
    refused = walk.opstrace(*write, "system", "prometheus", *token, "--output", str(tmp_path / "conf"), check=False)
    said = f"error: {token[1]} is a token of {THIRD}, but this integration is for system; name a token of that tenant"
    assert said in refused.stderr and not (tmp_path / "conf").exists()


def test_the_check_tells_that_a_tenant_is_not_applied(walk: UserSession, followed: Followed) -> None:
    before = walk.stack_path.read_text()
    try:
        walk.opstrace("tenants", "add", "local", INSTANCE, "later", "--no-apply")
        status, found = check(walk, "later", followed.prometheus, *BRIEFLY)
    finally:
        walk.stack_path.write_text(before)
    assert (status, [one["name"] for one in found]) == (1, ["host name"])
    assert f"cortex.later.{DOMAIN}" in found[0]["message"] and "pulumi up" in found[0]["remedy"]
