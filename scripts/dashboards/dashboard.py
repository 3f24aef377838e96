"""Dashboards: rows of panels, with the variables that their queries use."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.dashboards.expressions import SCRAPED_CORTEX
from scripts.dashboards.panel import DATA_SOURCES, WHOLE_WIDTH, Panel

SCHEMA_VERSION = 39
TAG = "opstrace"
REFRESH = "1m"


@dataclass(frozen=True)
class Row:
    """A heading and the panels below it, from left to right."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Dashboard:
    """A dashboard.

    Attributes:
        name: The name of its file, without the extension. Its uid and links from the others have it too.
        title: Its title.
        description: One sentence that says what it shows.
        rows: Its rows, from top to bottom.
        variables: The variables of its queries, beside those of the data sources.
        hours: How much time it shows at first.
    """

    name: str
    title: str
    description: str
    rows: Sequence[Row]
    variables: Sequence[dict[str, Any]] = ()
    hours: int = 6

    def model(self) -> dict[str, Any]:
        """Return the dashboard as Grafana's JSON model has it."""
        return {
            "id": None,  # Grafana gives each dashboard one
            "uid": f"opstrace-{self.name}",
            "title": self.title,
            "description": self.description,
            "tags": [TAG],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,  # the crosshair is shared
            "timezone": "browser",
            "time": {"from": f"now-{self.hours}h", "to": "now"},
            "timepicker": {},
            "refresh": REFRESH,
            "annotations": {"list": []},
            "links": [_links()],
            "templating": {"list": [*_data_sources(), *self.variables]},
            "panels": [*self._panels()],
        }

    def text(self) -> str:
        """Return the content of the dashboard's file."""
        return json.dumps(self.model(), indent=2, ensure_ascii=False) + "\n"

    def _panels(self) -> Iterator[dict[str, Any]]:
        """Yield the rows' headings and panels, each behind the one before."""
        identity, top = 0, 0
        for row in self.rows:
            identity += 1
            yield _heading(row.title, identity, top)
            top += 1
            column, height = 0, 0
            for panel in row.panels:
                if column + panel.width > WHOLE_WIDTH:
                    column, top, height = 0, top + height, 0
                identity += 1
                yield panel.model(identity, column, top)
                column, height = column + panel.width, max(height, panel.height)
            top += height


def tenant_variable() -> dict[str, Any]:
    """Return the variable `tenant`: the tenants whose Cortex the collectors scrape."""
    expression = f"label_values({SCRAPED_CORTEX}, tenant)"
    return {
        "name": "tenant",
        "label": "Tenant",
        "type": "query",
        "datasource": DATA_SOURCES["metrics"],
        "definition": expression,
        "query": {"query": expression, "refId": "tenant", "qryType": 1},
        "refresh": 2,  # with each change of the time range
        "sort": 1,  # by name
        "includeAll": False,
        "multi": False,
        "hide": 0,
    }


def choice(name: str, label: str, values: Sequence[str]) -> dict[str, Any]:
    """Return a variable with fixed values, of which the first is chosen."""
    options = [{"text": value, "value": value, "selected": value == values[0]} for value in values]
    return {
        "name": name,
        "label": label,
        "type": "custom",
        "query": ",".join(values),
        "multi": False,
        "includeAll": False,
        "hide": 0,
        "options": options,
        "current": options[0],
    }


def _data_sources() -> Iterator[dict[str, Any]]:
    """Yield the variables by which a user chooses the data sources of the system tenant."""
    for name, source in DATA_SOURCES.items():
        yield {
            "name": name,
            "label": f"System tenant, {name}",
            "type": "datasource",
            "query": source["type"],
            "refresh": 1,
            "regex": "",
            "multi": False,
            "includeAll": False,
            "hide": 0,
        }


def _heading(title: str, identity: int, top: int) -> dict[str, Any]:
    place = {"x": 0, "y": top, "w": WHOLE_WIDTH, "h": 1}
    return {"id": identity, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _links() -> dict[str, Any]:
    """Return the menu of all our dashboards, which keeps time range and variables."""
    return {
        "title": "Opstrace",
        "type": "dashboards",
        "tags": [TAG],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "",
        "url": "",
    }
