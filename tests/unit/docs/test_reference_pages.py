"""The hand-written reference pages are complete: answers, open paths, log fields, sizes, scopes."""

import json
import re
from typing import Any

import pytest

from components.config.platform.system_tenant import SYSTEM_DEFAULTS
from components.config.tenant import SIZES, BackendSize
from components.core.scopes import SCOPES
from components.gateway.access_log import FIELDS
from components.gateway.envoy import bootstrap
from components.gateway.limits import MOST_UNDECLARED_BYTES
from components.gateway.lua_filters import BAD_TOKEN
from components.gateway.metrics import back_ends
from components.gateway.metrics.own import FLUSH_SECONDS
from components.gateway.routes import CORTEX_READS, LOKI_READS, QUERY_SECONDS
from components.gateway.settings import (
    IDLE_SECONDS,
    MOST_CONNECTIONS,
    MOST_HEADER_KIB,
    MOST_TAILS,
    PROBE_CONNECTIONS,
    REQUEST_SECONDS,
    SILENT_SECONDS,
    TAIL_HOURS,
    GatewaySettings,
)
from components.gateway.tails.listener import CHANGED
from tests.support.shell import ROOT

REFERENCE = ROOT / "docs" / "reference"
ANSWERS = (REFERENCE / "gateway-answers.md").read_text()
LUA = "\n".join(path.read_text() for path in (ROOT / "components" / "gateway" / "lua").glob("*.lua"))


def rows(page: str, first: str) -> list[list[str]]:
    """Return the cells of each row of the table whose first heading is `first`."""
    _, _, text = (REFERENCE / page).read_text().partition(f"| {first} |")
    table = text.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def replies() -> list[dict[str, Any]]:
    """Return the rules by which Envoy words its own answers to clients."""
    settings = GatewaySettings(
        instance="showdown", domain="showdown.example.com", authentication=True, legacy_push_errors=False
    )
    listeners = json.loads(bootstrap(settings))["static_resources"]["listeners"]
    (listener,) = (entry for entry in listeners if entry["name"] == "gateway")
    (manager,) = (entry["typed_config"] for entry in listener["filter_chains"][0]["filters"])
    return list(manager["local_reply_config"]["mappers"])


def own_texts() -> set[str]:
    """Return the gateway's own answers, from its Lua and from Envoy's configuration, with N for each number."""
    refused = re.findall(r'refuse\(handle, "\d+", \(?"([^"]+)"', LUA) + re.findall(
        r'handle:respond\(\w+, "(.+?)"\)', LUA
    )
    reasons = [f"{BAD_TOKEN}{reason}" for reason in re.findall(r'return "(: [^"]+)"', LUA)]
    mapped = [reply["body"]["inline_string"] for reply in replies()]
    return {re.sub(r"%d|(?<![/.])\b\d+", "N", text) for text in (*refused, *reasons, *mapped, CHANGED)}


def test_the_texts_of_the_gateway_are_found() -> None:
    assert {"no such tenant", "bad authentication token: revoked", "a request may have N bytes"} <= own_texts()
    assert len(own_texts()) > 15


@pytest.mark.parametrize("text", sorted(own_texts()))
def test_each_answer_of_the_gateway_is_on_the_page(text: str) -> None:
    # A text that ends in a blank continues with the name of a tenant or scope, which the page writes as a letter.
    assert re.search(f"`{re.escape(text)}{'[A-Z]' if text.endswith(' ') else ''}`", ANSWERS)


def test_the_page_on_answers_has_each_scope_for_the_paths_that_are_open() -> None:
    assert {*re.findall(r"`([a-z]+:[a-z]+)`", ANSWERS)} == {*SCOPES}
    _, _, opened = ANSWERS.partition("## Open paths")
    opened = opened.partition("\n## ")[0]
    reads = [name.replace("[^/]+", "<name>") for name in (*CORTEX_READS, *LOKI_READS)]
    assert [name for name in reads if not re.search(f"[`/]{re.escape(name)}`", opened)] == []


def test_the_page_on_the_access_log_has_each_field() -> None:
    assert {name.strip("`") for name, _ in rows("access-log.md", "Field")} == {*FIELDS}


def test_the_page_on_metrics_has_how_often_they_are_pushed() -> None:
    assert f"every {FLUSH_SECONDS} seconds" in (REFERENCE / "metrics.md").read_text()


def test_the_page_on_settings_has_the_sizes() -> None:
    def cells(name: str, replicas: int, pod: BackendSize) -> list[str]:
        return [
            f"`{name}`",
            str(replicas),
            *(f"`{value}`" for value in (pod.cpu, pod.memory, pod.memory_limit, pod.volume)),
        ]

    sizes = [cells(name, size.replicas, pod) for name, size in SIZES.items() for pod in (size.metrics, size.logs)]
    assert [row for row in rows("tenant-settings.md", "Size") for _ in range(2)] == sizes


def test_the_page_on_settings_has_the_defaults_of_the_system_tenant() -> None:
    _, _, section = (REFERENCE / "tenant-settings.md").read_text().partition("### The system tenant")
    table = [line.strip("|").split("|") for line in section.partition("\n- ")[0].splitlines() if line.startswith("| `")]
    shown = {name: value for names, value in table for name in re.findall(r"`([^`]+)`", names)}
    limits = SYSTEM_DEFAULTS.limits
    expected = {
        f"{part}.{kind}.{name}" if name else f"{part}.{kind}": value
        for part, kind, values in (
            ("limits", "metrics", limits.metrics.model_dump(exclude_none=True)),
            ("limits", "logs", limits.logs.model_dump(exclude_none=True)),
            ("retention", "metrics", {"": SYSTEM_DEFAULTS.retention.metrics}),
            ("retention", "logs", {"": SYSTEM_DEFAULTS.retention.logs}),
        )
        for name, value in values.items()
    }
    assert {name: re.findall(r"`([^`]+)`", value) for name, value in shown.items()} == {
        name: [value if isinstance(value, str) else f"{value:g}"] for name, value in expected.items()
    }


def test_the_page_on_quotas_has_the_limits_of_the_gateway() -> None:
    limits = {cells[0]: cells[1] for cells in rows("quotas.md", "Resource")}
    assert limits["Connections to a pod, with a token or without"] == f"{MOST_CONNECTIONS:,}"
    assert limits["Time until a connection begins a request"] == f"{SILENT_SECONDS} s"
    assert limits["Time of a connection between two requests"] == f"{IDLE_SECONDS} s"
    assert limits["Request line and headers"].startswith(f"{MOST_HEADER_KIB} KiB; {SILENT_SECONDS} s ")
    buffered = "Body without `Content-Length` of a tenant with `bytesPerSecond`, which is buffered"
    assert limits[buffered] == f"{MOST_UNDECLARED_BYTES // 2**10} KiB"
    assert limits["Time of a query"] == f"{QUERY_SECONDS // 60} minutes"
    assert limits["Time for a request to arrive completely"] == f"{REQUEST_SECONDS // 60} minute"
    assert limits["Time of a log tail"].startswith(f"{TAIL_HOURS} hours, ")
    assert limits["Log tails of a pod at the same time"] == f"{MOST_TAILS:,}"
    assert limits["Probe port"].startswith(f"{PROBE_CONNECTIONS} connections, ")
    port = f"{back_ends.MOST_CONNECTIONS} connections, {back_ends.ANSWER_SECONDS} s each answer, headers of {back_ends.HEADER_KIB} KiB"
    assert limits["Port of the collectors"].startswith(port)
