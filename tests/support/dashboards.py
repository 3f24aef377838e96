"""The queries of dashboards, as Grafana would send them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scripts.dashboards.catalog import DASHBOARDS

# What Grafana puts in place of its own variables, for a panel of an hour.
OWN_VARIABLES = {"__rate_interval": "2m", "__interval": "1m", "__interval_ms": "60000"}


@dataclass(frozen=True)
class Asked:
    """A query of a panel. `where` is the dashboard's name and the panel's title; `source` is `metrics` or `logs`."""

    where: str
    source: str
    expression: str

    def filled(self, **values: str) -> str:
        """Return the expression with values in place of variables."""
        return re.sub(r"\$([a-zA-Z_]\w*)", lambda match: (OWN_VARIABLES | values)[match[1]], self.expression)


def models() -> dict[str, dict[str, Any]]:
    """Return the dashboards by name, as a reader of their files gets them."""
    return {dashboard.name: json.loads(dashboard.text()) for dashboard in DASHBOARDS}


def panels(model: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the panels of a dashboard without the headings of rows."""
    return [panel for panel in model["panels"] if panel["type"] != "row"]


def queries() -> Iterator[Asked]:
    """Yield the queries of all panels."""
    for name, model in models().items():
        for panel in panels(model):
            for target in panel["targets"]:
                source = target["datasource"]["uid"].strip("${}")
                yield Asked(f"{name}: {panel['title']}", source, target["expr"])
