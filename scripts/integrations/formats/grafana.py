"""The provisioning file of Grafana's data sources."""

from typing import Any

from scripts.integrations.formats.text import yaml_text
from scripts.integrations.integration import Integration


def grafana(integration: Integration) -> str:
    """Return a provisioning file with the tenant's metrics, logs and Alertmanager as data sources."""
    to = integration.main
    metrics = {"prometheusType": "Cortex", "httpMethod": "POST"}
    sources = [
        # Grafana's alerting pages look for rules below this path.
        _source(integration, "metrics", "prometheus", f"{to.metrics_url}/api/prom", metrics),
        _source(integration, "logs", "loki", to.logs_url, {}),
        _source(integration, "alerts", "alertmanager", to.metrics_url, {"implementation": "cortex"}),
    ]
    return yaml_text({"apiVersion": 1, "datasources": sources})


def _source(integration: Integration, name: str, kind: str, url: str, own: dict[str, Any]) -> dict[str, Any]:
    ca = integration.ca_path
    return {
        "name": f"{integration.main.tenant} {name} ({integration.instance})",
        "type": kind,
        "access": "proxy",
        "url": url,
        "jsonData": {
            **own,
            "httpHeaderName1": "Authorization",
            **({"tlsAuthWithCACert": True} if ca else {}),
        },
        "secureJsonData": {
            "httpHeaderValue1": f"Bearer $__file{{{integration.main.token_path}}}",
            **({"tlsCACert": f"$__file{{{ca}}}"} if ca else {}),
        },
    }
