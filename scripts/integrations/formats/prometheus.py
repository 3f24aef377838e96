"""Configurations of Prometheus and of Promtail, whose HTTP clients have the same options."""

from typing import Any

from scripts.integrations.formats.text import job_scrapes, yaml_text
from scripts.integrations.integration import LABEL, RETRIES, Integration


def _tls_and_proxy(integration: Integration) -> dict[str, Any]:
    return {
        **({"tls_config": {"ca_file": integration.ca_path}} if integration.ca_path else {}),
        **({"proxy_url": integration.proxy} if integration.proxy else {}),
    }


def prometheus(integration: Integration) -> str:
    """Return a configuration of Prometheus that scrapes targets and writes them to the tenant."""
    remote_write: dict[str, Any] = {
        "url": f"{integration.main.metrics_url}/api/v1/push",
        "authorization": {"credentials_file": integration.main.token_path},
        **_tls_and_proxy(integration),
        # Without it, Prometheus drops what exceeds a rate limit.
        "queue_config": {"retry_on_http_429": True},
        # This label is for the tenant's series alone; external labels would be in alerts and other remote writes too.
        "write_relabel_configs": [{"target_label": LABEL, "replacement": integration.id}],
    }
    return yaml_text(
        {
            "global": {"scrape_interval": "15s"},
            "scrape_configs": job_scrapes(integration, ["127.0.0.1:9090"]),
            "remote_write": [remote_write],
        }
    )


def promtail(integration: Integration) -> str:
    """Return a configuration of Promtail that follows log files."""
    client: dict[str, Any] = {
        "url": f"{integration.main.logs_url}/loki/api/v1/push",
        "bearer_token_file": integration.main.token_path,
        **_tls_and_proxy(integration),
        "external_labels": {LABEL: integration.id},
        "backoff_config": {"max_retries": RETRIES},
    }
    files = [
        {"targets": ["localhost"], "labels": {"job": "files", "__path__": pattern}} for pattern in integration.log_files
    ]
    return yaml_text(
        {
            "server": {"disable": True},
            "positions": {"filename": f"{integration.folder}/promtail-positions.yaml"},
            "clients": [client],
            "scrape_configs": [{"job_name": "files", "static_configs": files}],
        }
    )
