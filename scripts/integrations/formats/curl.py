"""Two commands of curl that send one sample and one line."""

from scripts.integrations.integration import Integration
from scripts.integrations.probe_bodies import logs_body, metrics_body

JOB = "curl"
NOW = "$now"


def curl(integration: Integration) -> str:
    """Return a shell script that sends a sample and a line with the current time.

    The token goes through a pipe, because other users see command lines.
    """
    to = integration.main
    sample = metrics_body(integration.id, NOW, metric="opstrace_integration_curl", job=JOB)
    line = logs_body(integration.id, NOW, "sent by curl", job=JOB)
    return f"""\
set -eu
now="$(date +%s)000000000"
{_command(integration, f"{to.metrics_url}/api/v1/otlp/v1/metrics", sample)}
{_command(integration, f"{to.logs_url}/loki/api/v1/push", line)}
"""


def _command(integration: Integration, url: str, body: str) -> str:
    options = ["--silent", "--show-error", "--fail-with-body", "--header @-"]
    options += [f"--cacert {integration.ca_path}"] if integration.ca_path else []
    options += [f"--proxy {integration.proxy}"] if integration.proxy else []
    options += ["--header 'Content-Type: application/json'", f"--data '{body}'".replace(NOW, f"'{NOW}'")]
    header = f"sed 's/^/Authorization: Bearer /' {integration.main.token_path}"
    return f"{header} | curl {' '.join(options)} {url}"
