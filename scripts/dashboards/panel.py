"""Panels of dashboards and their queries, as Grafana's JSON model has them.

The model is that of `schemaVersion` 39 (Grafana 10.4 and 11). Later versions of Grafana migrate it when they import it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Source = Literal["metrics", "logs"]
# The variables by which a dashboard names its data sources. Users choose them, so no file has the uid of one.
DATA_SOURCES: dict[Source, dict[str, str]] = {
    "metrics": {"type": "prometheus", "uid": "${metrics}"},
    "logs": {"type": "loki", "uid": "${logs}"},
}
# The interval of the slowest scrapes. Grafana makes `$__rate_interval` four times as long at least.
STEP = "30s"
WHOLE_WIDTH = 24  # columns of Grafana's grid
GRAPH_HEIGHT, NUMBER_HEIGHT = 8, 4
NUMBER_WIDTH = 4


def reference(number: int) -> str:
    """Return the name of a query within its panel, from A on."""
    return chr(ord("A") + number)


@dataclass(frozen=True)
class Query:
    """A query of a panel.

    Attributes:
        expression: PromQL or LogQL. `$__rate_interval` and the like are Grafana's.
        legend: The name of each series, with labels as `{{tenant}}`; in a table, the heading of its column.
        source: Which data source is asked.
        unit: In a table, the unit of its column.
    """

    expression: str
    legend: str = ""
    source: Source = "metrics"
    unit: str = "short"

    def model(self, number: int, *, table: bool) -> dict[str, Any]:
        """Return the query as Grafana has it; `number` is its place in the panel."""
        model: dict[str, Any] = {
            "refId": reference(number),
            "datasource": DATA_SOURCES[self.source],
            "expr": self.expression,
            "legendFormat": self.legend,
            "editorMode": "code",
        }
        if self.source == "logs":
            return model | {"queryType": "range"}
        return model | {
            "interval": STEP,
            "range": not table,
            "instant": table,
            "format": "table" if table else "time_series",
        }


@dataclass(frozen=True)
class Panel:
    """A panel: a title, a sentence that says what it shows, and its queries.

    Attributes:
        kind: Grafana's type of the panel.
        unit: Grafana's identifier of the unit.
        width: Columns of the grid, of 24.
        height: Rows of the grid.
        defaults: What `fieldConfig.defaults` has beside the unit.
        overrides: Exceptions from these defaults, for single columns.
        options: The panel's options.
        transformations: What is done with the answers before they are shown.
    """

    title: str
    description: str
    queries: Sequence[Query]
    kind: str
    unit: str
    width: int
    height: int
    options: dict[str, Any]
    defaults: dict[str, Any] = field(default_factory=dict)
    overrides: Sequence[dict[str, Any]] = ()
    transformations: Sequence[dict[str, Any]] = ()

    def model(self, identity: int, column: int, row: int) -> dict[str, Any]:
        """Return the panel as Grafana has it, at a place of the grid."""
        table = self.kind == "table"
        return {
            "id": identity,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": DATA_SOURCES[self.queries[0].source],
            "gridPos": {"x": column, "y": row, "w": self.width, "h": self.height},
            "interval": STEP,
            "fieldConfig": {"defaults": {"unit": self.unit, **self.defaults}, "overrides": [*self.overrides]},
            "options": self.options,
            "transformations": [*self.transformations],
            "targets": [query.model(number, table=table) for number, query in enumerate(self.queries)],
        }


def graph(title: str, unit: str, description: str, *queries: Query, width: int = 12, stacked: bool = False) -> Panel:
    """Return a panel with lines over time."""
    custom: dict[str, Any] = {"fillOpacity": 10, "showPoints": "never"}
    if stacked:
        custom |= {"fillOpacity": 30, "stacking": {"mode": "normal", "group": "A"}}
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    defaults = {"min": 0, "custom": custom}
    return Panel(title, description, queries, "timeseries", unit, width, GRAPH_HEIGHT, options, defaults)


def number(title: str, unit: str, description: str, query: Query, *, bad_from: float | None = None) -> Panel:
    """Return a panel with the last value, which is red from `bad_from` on."""
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if bad_from is not None:
        steps.append({"color": "red", "value": bad_from})
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "auto",
        "wideLayout": True,
        "showPercentChange": False,
        "percentChangeColorMode": "standard",
    }
    defaults = {"thresholds": {"mode": "absolute", "steps": steps}}
    return Panel(title, description, (query,), "stat", unit, NUMBER_WIDTH, NUMBER_HEIGHT, options, defaults)


def table(title: str, description: str, key: str, *columns: Query) -> Panel:
    """Return a table with a row for each value of the label `key`, and a column for each query."""
    headings = {f"Value #{reference(number)}": column.legend for number, column in enumerate(columns)}
    order = {name: place for place, name in enumerate((key, *headings))}
    options = {
        "frameIndex": 0,
        "showHeader": True,
        "cellHeight": "sm",
        "footer": {"show": False, "reducer": ["sum"], "fields": ""},
    }
    organize = {"excludeByName": {"Time": True}, "indexByName": order, "renameByName": headings}
    return Panel(
        *(title, description, columns, "table", "short", WHOLE_WIDTH, GRAPH_HEIGHT, options),
        defaults={"custom": {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False}},
        overrides=[
            {
                "matcher": {"id": "byName", "options": column.legend},
                "properties": [{"id": "unit", "value": column.unit}],
            }
            for column in columns
        ],
        transformations=[{"id": "merge", "options": {}}, {"id": "organize", "options": organize}],
    )


def lines(title: str, description: str, query: Query) -> Panel:
    """Return a panel with log lines, the newest first."""
    options = {
        "showTime": True,
        "wrapLogMessage": True,
        "sortOrder": "Descending",
        "enableLogDetails": True,
        "showLabels": False,
        "showCommonLabels": False,
        "showLogContextToggle": True,
        "prettifyLogMessage": False,
        "dedupStrategy": "none",
    }
    return Panel(title, description, (query,), "logs", "short", WHOLE_WIDTH, GRAPH_HEIGHT, options)
