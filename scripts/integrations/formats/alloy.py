"""The configuration of Grafana Alloy."""

import json
from collections.abc import Iterable, Mapping, Sequence

from scripts.integrations.integration import LABEL, RETRIES, Integration

Value = str | bool | Mapping[str, str]


def alloy(integration: Integration) -> str:
    """Return a configuration of Alloy that scrapes targets and follows log files."""
    label = {LABEL: integration.id}
    jobs = integration.scrape or {"self": ["127.0.0.1:12345"]}
    # The label of a block is an identifier of Alloy, which the name of a job need not be.
    targets = [{"__address__": target, "job": job} for job, named in jobs.items() for target in named]
    files = [{"__path__": pattern, "job": "files"} for pattern in integration.log_files]
    parts = [
        _block(
            'prometheus.scrape "targets"',
            [f"targets = {_targets(targets)}", "forward_to = [prometheus.remote_write.tenant.receiver]"],
        ),
        _write(integration, "prometheus.remote_write", f"{integration.main.metrics_url}/api/v1/push", label),
        _block('local.file_match "files"', [f"path_targets = {_targets(files)}"]),
        _block(
            'loki.source.file "files"',
            ["targets = local.file_match.files.targets", "forward_to = [loki.write.tenant.receiver]"],
        ),
        _write(
            integration,
            "loki.write",
            f"{integration.main.logs_url}/loki/api/v1/push",
            label,
            more=[f"max_backoff_retries = {RETRIES}"],
        ),
    ]
    return "\n".join(parts)


def _write(
    integration: Integration, component: str, url: str, labels: Mapping[str, str], more: Sequence[str] = ()
) -> str:
    endpoint = [
        f"url = {json.dumps(url)}",
        *more,
        f"bearer_token_file = {json.dumps(integration.main.token_path)}",
        *([f"proxy_url = {json.dumps(integration.proxy)}"] if integration.proxy else []),
    ]
    if integration.ca_path:
        endpoint.append(_block("tls_config", [f"ca_file = {json.dumps(integration.ca_path)}"]).rstrip())
    return _block(f'{component} "tenant"', [f"external_labels = {_map(labels)}", _block("endpoint", endpoint).rstrip()])


def _block(name: str, lines: Sequence[str]) -> str:
    inner = "".join(f"  {line}\n" for text in lines for line in text.splitlines())
    return f"{name} {{\n{inner}}}\n"


def _targets(targets: Iterable[Mapping[str, str]]) -> str:
    return f"[{', '.join(map(_map, targets))}]"


def _map(values: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{json.dumps(name)} = {json.dumps(value)}" for name, value in values.items()) + "}"
