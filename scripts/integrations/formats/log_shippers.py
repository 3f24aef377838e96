"""Configurations of Fluent Bit, Fluentd and Vector, which follow log files."""

import json
from typing import Any
from urllib.parse import urlsplit

from components.core.names import HTTPS_PORT
from scripts.integrations.formats.text import yaml_text
from scripts.integrations.integration import LABEL, Integration

TOKEN_REFRESH_SECONDS = 60


def fluent_bit(integration: Integration) -> str:
    """Return a configuration of Fluent Bit in YAML."""
    loki = urlsplit(integration.main.logs_url)
    output: dict[str, Any] = {
        "name": "loki",
        "match": "*",
        "host": loki.hostname,
        "port": loki.port or HTTPS_PORT,
        "tls": "on",
        "tls.verify": "on",
        "tls.verify_hostname": "on",
        **({"tls.ca_file": integration.ca_path} if integration.ca_path else {}),
        "bearer_token": "${OPSTRACE_TOKEN}",
        "labels": f"job=files, {LABEL}={integration.id}",
        "line_format": "key_value",
        "drop_single_key": "raw",
        "retry_limit": "no_limits",
    }
    files = {
        "name": "tail",
        "path": ",".join(integration.log_files),
        "read_from_head": "on",  # or the lines of a file that appears during a restart are lost
        "db": f"{integration.folder}/fluent-bit-positions.db",
        "storage.type": "filesystem",  # lines that are not sent yet survive a restart
    }
    token = {
        "name": "OPSTRACE_TOKEN",
        "uri": f"file://{integration.main.token_path}",
        "refresh_interval": TOKEN_REFRESH_SECONDS,
    }
    return yaml_text(
        {
            "env": [token],
            "service": {"flush": 1, "hot_reload": "on", "storage.path": f"{integration.folder}/fluent-bit-buffer"},
            "pipeline": {"inputs": [files], "outputs": [output]},
        }
    )


def fluentd(integration: Integration) -> str:
    """Return a configuration of Fluentd with the plugin `fluent-plugin-grafana-loki`.

    With `*` in a path, Fluentd loses lines of new files unless it reads from their heads. It sends rotated files twice
    unless it follows inodes.
    """
    labels = json.dumps({"job": "files", LABEL: integration.id})
    ca_line = f"  ca_cert {integration.ca_path}\n" if integration.ca_path else ""
    return f"""\
<source>
  @type tail
  path {",".join(integration.log_files)}
  pos_file {integration.folder}/fluentd-positions.txt
  tag files
  read_from_head true
  follow_inodes true
  <parse>
    @type none
  </parse>
</source>
<match **>
  @type loki
  url {integration.main.logs_url}
  bearer_token_file {integration.main.token_path}
{ca_line}\
  extra_labels {labels}
  drop_single_key true
  <buffer>
    @type file
    path {integration.folder}/fluentd-buffer
    flush_interval 5s
    retry_forever true
  </buffer>
</match>
"""


def vector(integration: Integration) -> str:
    """Return a configuration of Vector in YAML."""
    folder, _, file = integration.main.token_path.rpartition("/")
    sink: dict[str, Any] = {
        "type": "loki",
        "inputs": ["files"],
        "endpoint": integration.main.logs_url,
        "auth": {"strategy": "bearer", "token": f"SECRET[opstrace.{file}]"},
        **({"tls": {"ca_file": integration.ca_path}} if integration.ca_path else {}),
        **({"proxy": {"https": integration.proxy}} if integration.proxy else {}),
        "labels": {"job": "files", LABEL: integration.id},
        "encoding": {"codec": "text"},
        "buffer": {"type": "disk", "max_size": 268435488, "when_full": "block"},
    }
    return yaml_text(
        {
            "data_dir": integration.folder,
            "secret": {"opstrace": {"type": "directory", "path": folder, "remove_trailing_whitespace": True}},
            "sources": {"files": {"type": "file", "include": [*integration.log_files]}},
            "sinks": {"tenant": sink},
        }
    )
