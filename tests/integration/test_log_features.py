"""What users expect of Loki beside lines: rules, structured metadata and patterns, by the real Loki."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.integration.test_alertmanager import LOOPBACK, ON, configure
from tests.support.backend import TENANT, Backend
from tests.support.receiver import Receiver

Make = Callable[..., Backend]
AS_JSON = {"Content-Type": "application/json", "X-Scope-OrgID": TENANT}
ALERT = """
name: errors
interval: 1s
rules:
  - alert: LogsAlways
    expr: vector(1)
    labels: {severity: page}
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.close()


def test_alerts_of_loki_s_rules_arrive_at_the_receiver(backend: Make, receiver: Receiver) -> None:
    alertmanager = backend("alertmanager", ON, LOOPBACK)
    alertmanager.start()
    configure(alertmanager, receiver.url)
    loki = backend("loki", ON, beside=[alertmanager])
    loki.start()
    headers = {"Content-Type": "application/yaml", "X-Scope-OrgID": TENANT}
    assert loki.ask("POST", "/loki/api/v1/rules/team-a", body=ALERT, headers=headers)[0] == 202
    loki.until(lambda: receiver.alerts() == {"LogsAlways"}, 120)
    (alert,) = receiver.notifications[0]["alerts"]
    assert alert["labels"] == {"alertname": "LogsAlways", "severity": "page"}
    assert loki.ask("DELETE", "/loki/api/v1/rules/team-a", headers=headers)[0] == 202


def test_series_that_loki_s_rules_record_are_in_the_tenant_s_cortex(backend: Make) -> None:
    cortex = backend("cortex", {})
    cortex.start()
    loki = backend("loki", {}, beside=[cortex])
    loki.start()
    rule = "name: recorded\ninterval: 1s\nrules: [{record: logs_recorded, expr: vector(7), labels: {team: a}}]"
    headers = {"Content-Type": "application/yaml", "X-Scope-OrgID": TENANT}
    assert loki.ask("POST", "/loki/api/v1/rules/team-a", body=rule, headers=headers)[0] == 202

    def recorded() -> list[tuple[str, str]]:
        status, text = cortex.ask("GET", "/prometheus/api/v1/query?query=logs_recorded")
        series_list = json.loads(text)["data"]["result"] if status == 200 else []
        return [(series["metric"]["team"], series["value"][1]) for series in series_list]

    loki.until(lambda: recorded() == [("a", "7")], 120)
    assert loki.ask("DELETE", "/loki/api/v1/rules/team-a", headers=headers)[0] == 202


def push(loki: Backend, *lines: list[Any]) -> None:
    body = json.dumps({"streams": [{"stream": {"job": "shop"}, "values": lines}]})
    status, text = loki.ask("POST", "/loki/api/v1/push", body=body, headers=AS_JSON)
    assert status == 204, text


def test_lines_are_found_by_their_structured_metadata(backend: Make) -> None:
    loki = backend("loki", {})
    loki.start()
    now = time.time_ns()
    push(loki, [str(now), "with", {"trace_id": "abc"}], [str(now + 1), "other", {"trace_id": "def"}])

    def lines() -> list[str]:
        query = urlencode({"query": '{job="shop"} | trace_id="abc"', "start": now - 1, "end": now + 2})
        status, text = loki.ask("GET", f"/loki/api/v1/query_range?{query}")
        streams = json.loads(text)["data"]["result"] if status == 200 else []
        return [line for stream in streams for _, line, *_ in stream["values"]]

    loki.until(lambda: lines() == ["with"], 30)


def test_patterns_of_lines_are_found(backend: Make) -> None:
    loki = backend("loki", {})
    loki.start()
    now = time.time_ns()
    push(loki, *([str(now + number), f"order {number} of user {7 * number} paid"] for number in range(100)))

    def patterns() -> set[str]:
        query = urlencode({"query": '{job="shop"}', "start": now - 60 * 10**9, "end": now + 60 * 10**9})
        status, text = loki.ask("GET", f"/loki/api/v1/patterns?{query}")
        return {entry["pattern"] for entry in json.loads(text)["data"]} if status == 200 else set()

    loki.until(lambda: patterns() == {"order <_> of user <_> paid"}, 60)


def test_without_the_setting_no_patterns_are_found(backend: Make) -> None:
    loki = backend("loki", {"logPatterns": False})
    loki.start()
    push(loki, [str(time.time_ns()), "order 1 paid"])
    assert loki.ask("GET", "/loki/api/v1/patterns?query=%7Bjob%3D%22shop%22%7D")[0] == 404
