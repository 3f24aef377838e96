"""The bodies of pushes of one sample and one line, as JSON: for the probe of `check`, and for the format `curl`."""

import json
from typing import Any

from scripts.integrations.integration import LABEL

METRIC = "opstrace_integration_probe"
JOB = "opstrace-probe"


def metrics_body(integration: str, nanoseconds: str, *, metric: str = METRIC, job: str = JOB) -> str:
    """Return an OTLP request with one sample of a gauge at this time since the epoch.

    `nanoseconds` is a text, so that it can be a variable of a shell.
    """
    point = {"timeUnixNano": nanoseconds, "asDouble": 1, "attributes": [_attribute(LABEL, integration)]}
    metrics = [{"name": metric, "gauge": {"dataPoints": [point]}}]
    resource = {"attributes": [_attribute("service.name", job)]}
    return json.dumps({"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": metrics}]}]})


def _attribute(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


def logs_body(integration: str, nanoseconds: str, line: str, *, job: str = JOB) -> str:
    """Return a push of one line to Loki at this time since the epoch."""
    stream = {"stream": {"job": job, LABEL: integration}, "values": [[nanoseconds, line]]}
    return json.dumps({"streams": [stream]})
