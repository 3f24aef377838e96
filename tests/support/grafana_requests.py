"""The requests that Grafana sends to data sources, read from its source (grafana/grafana, main, 2026).

`source` names the file that makes the request, or another program's repository. Paths are relative to the URL of the data source.
"""

from dataclasses import dataclass
from typing import Literal

from components.core.scopes import Scope
from components.gateway.routes import PROM

Program = Literal["cortex", "loki", "alertmanager"]
PROMETHEUS_CLIENT = "pkg/promlib/client/client.go"
PROMETHEUS_RESOURCES = "packages/grafana-prometheus/src/resource_clients.ts"
PROMETHEUS_DATA = "packages/grafana-prometheus/src/datasource.ts"
PROMETHEUS_WORDS = "packages/grafana-prometheus/src/language_provider.ts"
LOKI_CLIENT = "pkg/tsdb/loki/api.go"
LOKI_DATA = "public/app/plugins/datasource/loki/datasource.ts"
LOKI_WORDS = "public/app/plugins/datasource/loki/LanguageProvider.ts"
LOKI_STREAM = "pkg/tsdb/loki/streaming.go"
DRILLDOWN = "grafana/logs-drilldown"
LOKI_PATHS = "grafana/loki: pkg/util/constants/api_paths.go"  # open, and asked by other clients
STATES = "pkg/services/ngalert/api/lotex_prom.go"
RULER = "pkg/services/ngalert/api/lotex_ruler.go"
ALERTS = "pkg/services/ngalert/api/lotex_am.go"
BUILD = "public/app/features/alerting/unified/api/buildInfo.ts"
WRITER = "pkg/services/ngalert/writer/datasourcewriter.go"
ALERTMANAGER_DATA = "public/app/plugins/datasource/alertmanager/DataSource.ts"

FORM = "application/x-www-form-urlencoded"
YAML = "application/yaml"
JSON = "application/json"
REMOTE_WRITE = "application/x-protobuf"
CLOSED = (404, "this path is not open")
TIME, START, END = "TIME", "START", "END"  # the test writes times in their place
OWN, OTHER = "orders_total", "other_total"  # series of the tenant and of another one
RECORDED = "grafana:orders:sum"
LINE, OTHER_LINE = "level=info msg=mine", "level=info msg=theirs"


@dataclass(frozen=True)
class Request:
    """A request of Grafana, and the answer that a tenant's user must get.

    Attributes:
        source: The file of Grafana that makes the request.
        path: The path below the URL of the data source, with the query.
        scope: The scope that opens it; None: the gateway refuses the path.
        has: What the answer has: a regular expression.
        method: The method.
        body: The body; it may contain times as words. With `REMOTE_WRITE`, the name of the series that is sent.
        kind: The type of the body.
        status: The status of the answer.
    """

    source: str
    path: str
    scope: Scope | None
    has: str = ""
    method: str = "GET"
    body: str = ""
    kind: str = ""
    status: int = 200


def _closed(source: str, path: str, method: str = "GET") -> Request:
    """Return a request that the gateway refuses; docs/how-to/connect-clients.md says why."""
    return Request(source, path, None, method=method, status=CLOSED[0])


def _posted(path: str, form: str, has: str) -> Request:
    """Return a query of a Prometheus data source, which sends a form by POST unless it is set to GET."""
    return Request(PROMETHEUS_CLIENT, path, "metrics:read", has, "POST", form, FORM)


SUCCESS = r'"status":"success"'
GROUP = "name: pages\\?team\nrules:\n  - record: job:orders:sum\n    expr: sum by (job) (orders_total)\n"
LOKI_GROUP = 'name: pages\nrules:\n  - alert: Lines\n    expr: sum(rate({service_name="billing"}[1m])) > 100\n'
NO_GROUP = "group does not exist"
SELECTOR = "%7Bservice_name%3D%22billing%22%7D"
RANGE = f"start={START}&end={END}"

METRICS = (
    # Explore, dashboards and the test of the data source
    _posted("/api/v1/query", f"query=1%2B1&time={TIME}", rf'{SUCCESS}.*"2"'),
    _posted("/api/v1/query", f"query={OWN}&time={TIME}&timeout=60s", OWN),
    _posted("/api/v1/query_range", f"query={OWN}&{RANGE}&step=15", OWN),
    _posted("/api/v1/query_exemplars", f"query={OWN}&{RANGE}", SUCCESS),
    Request(PROMETHEUS_CLIENT, f"/api/v1/query?query={OWN}&time={TIME}", "metrics:read", OWN),
    Request(PROMETHEUS_CLIENT, f"/api/v1/query_range?query={OWN}&{RANGE}&step=15", "metrics:read", OWN),
    Request(PROMETHEUS_DATA, f"/api/v1/query_exemplars?query=test&{RANGE}", "metrics:read", SUCCESS),
    _posted("/api/v1/labels", f"limit=40000&{RANGE}&match[]={OWN}", "job"),
    _posted("/api/v1/series", f"limit=40000&{RANGE}&match[]={OWN}", OWN),
    Request(PROMETHEUS_WORDS, f"/api/v1/labels?{RANGE}&match[]={OWN}", "metrics:read", "job"),
    Request(PROMETHEUS_WORDS, f"/api/v1/series?{RANGE}&match[]={OWN}&limit=40000", "metrics:read", OWN),
    Request(PROMETHEUS_RESOURCES, f"/api/v1/label/__name__/values?limit=40000&{RANGE}", "metrics:read", OWN),
    Request(PROMETHEUS_RESOURCES, f"/api/v1/label/job/values?{RANGE}&match[]={OWN}", "metrics:read", "billing"),
    Request(PROMETHEUS_RESOURCES, f"/api/v1/label/U__service_2e_name/values?{RANGE}", "metrics:read", SUCCESS),
    Request(PROMETHEUS_WORDS, "/api/v1/metadata", "metrics:read", SUCCESS),
    _posted("/api/v1/format_query", f"query=sum({OWN})", rf"{SUCCESS}.*sum\({OWN}\)"),
    Request(PROMETHEUS_CLIENT, f"/api/v1/parse_query?query=sum({OWN})", "metrics:read", SUCCESS),
)
"""Requests that also work at the root of the tenant's host."""

CORTEX = (
    *METRICS,
    # The alerting pages: what kind of data source it is, then rules. They take 404 here as "this is Cortex".
    _closed(BUILD, "/api/v1/status/buildinfo"),
    _closed(BUILD, "/api/v1/status/flags"),
    Request(BUILD, "/api/v1/query?query=prometheus_build_info", "metrics:read", SUCCESS),
    Request(STATES, "/api/v1/rules", "metrics:read", rf'{SUCCESS}.*"groups":\['),
    Request(STATES, "/api/v1/rules?file=a&rule_group=b&rule_name=c", "metrics:read", rf'{SUCCESS}.*"groups":\['),
    Request(PROMETHEUS_DATA, "/api/v1/rules", "metrics:read", rf'{SUCCESS}.*"groups":\['),
    Request(STATES, "/api/v1/alerts", "metrics:read", rf'{SUCCESS}.*"alerts":\['),
    Request(RULER, "/rules/test/test?subtype=cortex", "metrics:read", NO_GROUP, status=404),
    Request(RULER, "/rules/team%2Fa?subtype=cortex", "metrics:write", "success", "POST", GROUP, YAML, 202),
    Request(RULER, "/rules?subtype=cortex", "metrics:read", "team/a:.*job:orders:sum"),
    Request(RULER, "/rules/team%2Fa?subtype=cortex", "metrics:read", "team/a:.*job:orders:sum"),
    Request(RULER, "/rules/team%2Fa/pages%5C%3Fteam?subtype=cortex", "metrics:read", "job:orders:sum"),
    Request(RULER, "/rules/team%2Fa/pages%5C%3Fteam?subtype=cortex", "metrics:write", "", "DELETE", status=202),
    Request(RULER, "/rules/a%20b?subtype=cortex", "metrics:write", "success", "POST", GROUP, YAML, 202),
    Request(RULER, "/rules/a%20b?subtype=cortex", "metrics:write", "", "DELETE", status=202),
    # What recording rules give that Grafana evaluates itself, at this end of the URL
    Request(WRITER, "/push", "metrics:write", "", "POST", RECORDED, REMOTE_WRITE),
    Request(PROMETHEUS_CLIENT, f"/api/v1/query?query={RECORDED}&time={TIME}", "metrics:read", RECORDED),
    _closed(RULER, "/config/v1/rules?subtype=mimir"),
    _closed(RULER, "/config/v1/rules/a?subtype=mimir", "POST"),
)

LOKI = (
    Request(
        LOKI_CLIENT, f"/loki/api/v1/query?query=vector(1)%2Bvector(1)&time={TIME}", "logs:read", rf'{SUCCESS}.*"2"'
    ),
    Request(LOKI_CLIENT, f"/loki/api/v1/query_range?query={SELECTOR}&{RANGE}&step=15s&limit=1000", "logs:read", LINE),
    Request(LOKI_WORDS, f"/loki/api/v1/labels?{RANGE}", "logs:read", "service_name"),
    Request(LOKI_WORDS, f"/loki/api/v1/label/service_name/values?{RANGE}&query={SELECTOR}", "logs:read", "billing"),
    Request(LOKI_WORDS, f"/loki/api/v1/series?match[]={SELECTOR}&{RANGE}", "logs:read", "billing"),
    Request(LOKI_WORDS, f"/loki/api/v1/detected_labels?{RANGE}", "logs:read", "detectedLabels"),
    Request(
        LOKI_WORDS, f"/loki/api/v1/detected_fields?query={SELECTOR}&{RANGE}&limit=1000", "logs:read", '"label":"msg"'
    ),
    Request(LOKI_WORDS, f"/loki/api/v1/detected_field/msg/values?query={SELECTOR}&{RANGE}", "logs:read", "mine"),
    Request(LOKI_DATA, f"/loki/api/v1/index/stats?query={SELECTOR}&{RANGE}", "logs:read", '"streams":'),
    Request(LOKI_DATA, f"/loki/api/v1/index/volume?query={SELECTOR}&{RANGE}&limit=100", "logs:read", SUCCESS),
    Request(LOKI_DATA, f"/loki/api/v1/index/volume_range?query={SELECTOR}&{RANGE}", "logs:read", SUCCESS),
    Request(DRILLDOWN, "/loki/api/v1/drilldown-limits", "logs:read", "limits"),
    # Loki 3.7 cannot encode this request for its own queriers. When it can, this row has to change.
    Request(
        LOKI_PATHS,
        f"/loki/api/v1/index/shards?query={SELECTOR}&{RANGE}&targetBytesPerShard=1048576",
        "logs:read",
        "ShardsRequest",
        status=500,
    ),
    Request(LOKI_DATA, f"/loki/api/v1/patterns?query={SELECTOR}&{RANGE}", "logs:read", '"pattern":'),
    Request(LOKI_DATA, f"/loki/api/v1/format_query?query={SELECTOR}", "logs:read", "service_name"),
    Request(BUILD, "/loki/api/v1/status/buildinfo", "logs:read", "version"),
    _closed(BUILD, "/api/v1/status/buildinfo"),
    _closed(LOKI_STREAM, "/loki/api/v2alpha/tail"),
    # The alerting pages
    Request(STATES, "/prometheus/api/v1/rules", "logs:read", rf'{SUCCESS}.*"groups":'),
    Request(STATES, "/prometheus/api/v1/alerts", "logs:read", rf'{SUCCESS}.*"alerts":'),
    Request(RULER, f"{PROM}/rules/test/test", "logs:read", NO_GROUP, status=404),
    Request(RULER, f"{PROM}/rules/team%2Fa", "logs:write", "success", "POST", LOKI_GROUP, YAML, 202),
    Request(RULER, f"{PROM}/rules", "logs:read", "team/a:.*Lines"),
    Request(RULER, f"{PROM}/rules/team%2Fa", "logs:read", "team/a:.*Lines"),
    Request(RULER, f"{PROM}/rules/team%2Fa/pages", "logs:read", "Lines"),
    Request(RULER, f"{PROM}/rules/team%2Fa/pages", "logs:write", "", "DELETE", status=202),
    # Grafana before 6.4
    _closed(LOKI_DATA, "/api/prom/query"),
    _closed(LOKI_DATA, "/api/prom/label"),
    _closed(LOKI_DATA, "/api/prom/tail"),
)
SILENCE = (
    '{"matchers":[{"name":"alertname","value":"Known","isRegex":false,"isEqual":true}],'
    f'"startsAt":"{START}","endsAt":"{END}","createdBy":"grafana","comment":"known"}}'
)
ALERTMANAGER_CONFIG = "alertmanager_config: |\n  route: {receiver: nobody}\n  receivers: [{name: nobody}]\n"
ALERTMANAGER = (
    # The test of the data source: `/api/v2/status` must not answer, or Grafana takes it for a plain Alertmanager.
    _closed(ALERTMANAGER_DATA, "/api/v2/status"),
    _closed(BUILD, "/api/v1/status/buildinfo"),
    Request(ALERTS, "/api/v1/alerts", "metrics:write", "", "POST", ALERTMANAGER_CONFIG, YAML, 201),
    Request(ALERTS, "/api/v1/alerts", "metrics:write", "receiver: nobody"),
    Request(ALERTMANAGER_DATA, "/alertmanager/api/v2/status", "metrics:read", "versionInfo"),
    Request(ALERTS, "/alertmanager/api/v2/silences", "metrics:write", "silenceID", "POST", SILENCE, JSON),
    Request(ALERTS, "/alertmanager/api/v2/silences", "metrics:read", "known"),
    Request(ALERTS, "/alertmanager/api/v2/silence/ID", "metrics:read", "known"),
    Request(ALERTS, "/alertmanager/api/v2/silence/ID", "metrics:write", "", "DELETE"),
    Request(ALERTS, "/alertmanager/api/v2/receivers", "metrics:read", "nobody"),
    Request(ALERTS, "/alertmanager/api/v2/alerts/groups", "metrics:read", r"\["),
    Request(ALERTS, "/alertmanager/api/v2/alerts?silenced=true&active=true&inhibited=true", "metrics:read", r"\["),
    Request(
        ALERTS, "/alertmanager/api/v2/alerts", "metrics:write", "", "POST", '[{"labels":{"alertname":"Test"}}]', JSON
    ),
    Request(ALERTS, "/api/v1/alerts", "metrics:write", "", "DELETE"),
)
SOURCES: dict[Program, tuple[str, tuple[Request, ...]]] = {
    "cortex": (PROM, CORTEX),
    "loki": ("", LOKI),
    "alertmanager": ("", ALERTMANAGER),
}
"""The end of the data source's URL, and its requests in an order in which they find what they need."""
