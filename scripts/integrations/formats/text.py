"""The text of a configuration: YAML from plain values, and the header comment."""

import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter

from scripts.integrations.integration import Integration

MAKER = "`opstrace integrations write`"
ID = "integration ID: "
HEADER_LINES = 20
WORDS = {"y", "yes", "on", "n", "no", "off"}
"""Booleans of YAML 1.1, which `kubectl` and Helm read, but not of YAML 1.2, which is written."""


class _Representer(RoundTripRepresenter):
    """Quotes texts that YAML 1.1 takes for booleans."""

    def represent_str(self, data: str) -> ScalarNode:
        style = "'" if data.lower() in WORDS else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Representer.add_representer(str, _Representer.represent_str)


def yaml_text(value: Any) -> str:
    """Return plain values as YAML in block style, in the order of the mapping, without aliases and line breaks.

    It means the same in YAML 1.1 and 1.2, but for numbers with colons such as 10:59, which 1.1 takes for one of base 60.
    """
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.ignore_aliases = lambda _: True
    text = io.StringIO()
    yaml.dump(value, text)
    return text.getvalue()


def header(integration: Integration, notes: Iterable[str], comment: str = "#") -> str:
    """Return the comment at the top of a file: what made it, the integration ID, how to change it, and `notes`."""
    tenants = ", ".join(destination.tenant for destination in integration.destinations)
    lines = [
        f"Made by {MAKER} for {tenants} of the instance {integration.instance}.",
        f"{ID}{integration.id}",
        "To change this file, run the command again. It replaces the file, and other edits are lost:",
        f"  {integration.command}",
        *notes,
    ]
    return "".join(f"{comment} {line}\n" for line in lines)


def id_in(text: str) -> str | None:
    """Return the integration ID in the header of a file, None for a file that has none."""
    top = text.splitlines()[:HEADER_LINES]
    if not any(MAKER in line for line in top):
        return None
    found = (re.search(rf"{ID}(\S+)", line) for line in top)
    return next((match[1] for match in found if match), None)


def job_scrapes(integration: Integration, defaults: Sequence[str]) -> list[dict[str, Any]]:
    """Return the scrape configurations of Prometheus: those that the user named, or one for `defaults`."""
    jobs = integration.scrape or {"self": defaults}
    return [{"job_name": job, "static_configs": [{"targets": [*targets]}]} for job, targets in jobs.items()]
