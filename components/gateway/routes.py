"""The paths that the gateway forwards, each with the scope that it needs; all other paths get 404.

A route's metadata tells the Lua filters before and after authentication the scope and the Service.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from components.core.names import ALERTMANAGER, ALERTMANAGER_PATH, TAIL, Api
from components.core.scopes import Scope
from components.gateway import lua_filters
from components.gateway.watched_files import HTTP

ALL_PATHS = "/.*"
CLOSED_PATH_FILTER = "closed-path"  # runs at routes of closed paths alone
PUSH_ANSWERS_FILTER = "push-answers"  # runs at routes of pushes alone
QUERY_SECONDS = 300
TAILS_CLUSTER = "tails"
# Retries of requests that did not reach a back end. Either a pod has just ended while others run, or a pod has just
# become ready. Nodes learn of a ready pod within 1 to 2 s. The waits are random, 3.75 s in total on average. The gateway
# does not retry a body larger than the listener's buffer.
RETRIES: dict[str, Any] = {
    "retry_on": "connect-failure,refused-stream,reset-before-request",
    "num_retries": 10,
    "retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"},
}
BASIC = 'Basic realm="tenant API token as the password"'
NO_FRAME = [{"header": {"key": "content-security-policy", "value": "frame-ancestors 'none'"}}]
# Cortex 1.21, 'HTTP API'. Its router refuses other spellings; so does the gateway.
CORTEX_READS = (
    "query",
    "query_range",
    "query_exemplars",
    "format_query",
    "parse_query",
    "series",
    "labels",
    "label/[^/]+/values",
    "metadata",
    "read",
)
# Loki 3.7, pkg/util/constants/api_paths.go
LOKI_READS = (
    "query",
    "query_range",
    "series",
    "labels",
    "label",
    "label/[^/]+/values",
    "index/stats",
    "index/shards",
    "index/volume",
    "index/volume_range",
    "patterns",
    "detected_labels",
    "detected_fields",
    "detected_field/[^/]+/values",
    "format_query",
    "status/buildinfo",
    "drilldown-limits",
)


def first_filter(host: str) -> str:
    """Return the name of the first Lua filter at a virtual host."""
    return f"before-{host}"


@dataclass(frozen=True, kw_only=True)
class Route:
    """A route of a virtual host.

    Attributes:
        paths: A regular expression that matches the whole path.
        scope: The scope that a token needs; None: any.
        push: Whether clients push here; a back end's error answers are changed so that they retry.
        otlp: Whether these clients use OpenTelemetry's protocol (OTLP), and retry after other errors than others do.
        websocket: Whether the route is for websockets only. They go through the listener in `tails`, which ends them.
        prefix: Goes before the path upstream.
        changes: Whether the route is for writing methods only, which are all except GET and HEAD.
        service: The tenant's Service, if it is not the API that the host names.
        of_token: Whether the token names the tenant, because the host names none.
        browser: Whether people open the path in a browser, which must ask for a token.
        closed: Whether the gateway answers 404 in place of the back end.
        malformed: Whether the gateway answers 400 in place of the back end.
        decoded_twice: Whether the back end decodes the path before its router splits it, and names once more behind it.
        escaped: Whether only paths with an escaped character match, so that Envoy matches no other long path against the regex.
    """

    paths: str
    scope: Scope | None
    push: bool = False
    otlp: bool = False
    websocket: bool = False
    prefix: str = ""
    changes: bool = False
    service: str = ""
    of_token: bool = False
    browser: bool = False
    closed: bool = False
    malformed: bool = False
    decoded_twice: bool = False
    escaped: bool = False

    def config(self) -> dict[str, Any]:
        """Return the route as Envoy's configuration has it."""
        headers: dict[str, Any] = {"response_headers_to_add": NO_FRAME} if self.browser else {}
        return {
            **headers,
            "match": self._match(),
            **({"direct_response": {"status": 400}} if self.malformed else {"route": self._action()}),
            "metadata": {"filter_metadata": self._metadata()},
            "typed_per_filter_config": self._filters(),
        }

    def _match(self) -> dict[str, Any]:
        # A regex would read all of a long path.
        match: dict[str, Any] = {"prefix": "/"} if self.paths == ALL_PATHS else {"safe_regex": {"regex": self.paths}}
        if self.changes:
            reading = {"safe_regex": {"regex": "GET|HEAD"}}
            match["headers"] = [{"name": ":method", "string_match": reading, "invert_match": True}]
        if self.escaped:
            match["headers"] = [{"name": ":path", "string_match": {"contains": "%"}}]
        if self.websocket:
            match["headers"] = [{"name": "upgrade", "string_match": {"exact": "websocket", "ignore_case": True}}]
        return match

    def _action(self) -> dict[str, Any]:
        timeout = "0s" if self.websocket else f"{QUERY_SECONDS}s"
        cluster = TAILS_CLUSTER if self.websocket else "tenant"
        action: dict[str, Any] = {"cluster": cluster, "timeout": timeout, "retry_policy": RETRIES}
        if self.prefix:
            action["regex_rewrite"] = {"pattern": {"regex": "^(.*)$"}, "substitution": f"{self.prefix}\\1"}
        if self.decoded_twice:
            action["regex_rewrite"] = {"pattern": {"regex": "%2[Ff]"}, "substitution": "%252F"}
        if self.websocket:
            action["upgrade_configs"] = [{"upgrade_type": "websocket", "enabled": True}]
        return action

    def _metadata(self) -> dict[str, Any]:
        """Return the metadata for the Lua filters, by the filter's name."""
        access = {"scope": self.scope or lua_filters.ANY_SCOPE} | (
            {lua_filters.SERVICE_OF_TOKEN: self.service} if self.of_token else {}
        )
        if self.of_token:
            return {"access": access}
        before = {lua_filters.SERVICE: self.service} if self.service else {}
        before |= {lua_filters.CHALLENGE: BASIC} if self.browser else {}
        answers = {PUSH_ANSWERS_FILTER: {lua_filters.OTLP: True}} if self.otlp else {}
        return {"access": access, **answers, **({first_filter("cortex"): before} if before else {})}

    def _filters(self) -> dict[str, Any]:
        # The route's action has such a field too, but Envoy reads it after it has looked up the client's host name.
        upstream = {
            "@type": f"{HTTP}.dynamic_forward_proxy.v3.PerRouteConfig",
            "host_rewrite_header": lua_filters.UPSTREAM_HEADER,
        }
        off = {"@type": f"{HTTP}.lua.v3.LuaPerRoute", "disabled": True}
        used = {PUSH_ANSWERS_FILTER: self.push, CLOSED_PATH_FILTER: self.closed}
        return {"forward": upstream, **{name: off for name, is_used in used.items() if not is_used}}


SLASH = "%(2[Ff]|5[Cc])"  # an escaped one, or a backslash
RULES = "rules(/[^/]+){0,2}"  # all, those of a namespace, and a group
# Cortex 1.21, 'HTTP API', 'Ruler' and 'Alertmanager'
CORTEX_RULES = f"/api/v1/{RULES}"
LOKI_RULES = f"/loki/api/v1/{RULES}"
# The same rules where Grafana's alerting pages look for them. For Cortex, `/api/prom` is the end of the data source's URL.
PROM = "/api/prom"
PROM_RULES = f"{PROM}/{RULES}"
# Rules and alerts with their state, in the form of Prometheus. At the root of Cortex these paths have other meanings.
STATES = "(rules|alerts)"
ALERTS = "/api/v1/alerts"
# The Alertmanager's pages, and the API that they use (Alertmanager, api/v2/openapi.yaml).
PAGES = f"{ALERTMANAGER_PATH}/"
ALERTMANAGER_API = f"{PAGES}api/v2/(status|receivers|alerts|alerts/groups|silences|silence/[^/]+)"
ALERTMANAGER_PAGES = rf"{PAGES}(script\.js|favicon\.ico|lib/.*)?"


def _read_and_changed(paths: str, service: str, *, of_token: bool = False) -> list[Route]:
    """Return two routes of the same paths: one to change, with a scope for writing, and one to read."""
    return [
        Route(paths=paths, scope="metrics:write", changes=True, service=service, of_token=of_token),
        Route(paths=paths, scope="metrics:read", service=service, of_token=of_token),
    ]


def _with_slashes_in_names(routes: Sequence[Route], *, of_token: bool = False) -> list[Route]:
    """Return routes of names that may have escaped slashes, which the routes after them refuse.

    A name of dots between such slashes is refused: a program that decodes it early would leave the folder.
    """
    service = "cortex" if of_token else ""
    dots, others = (
        Route(paths=paths, scope=None, malformed=True, of_token=of_token, service=service, escaped=True)
        for paths in (rf".*(/|{SLASH})\.\.?((/|{SLASH}).*)?", f".*{SLASH}.*")
    )
    return [dots, *routes, others]


def _alerting(*, of_token: bool = False) -> list[Route]:
    """Return the routes of a tenant's rules and of its Alertmanager configuration."""
    # Grafana does not know the instance's own name.
    paths = CORTEX_RULES if of_token else f"({CORTEX_RULES}|{PROM_RULES})"
    rules = _read_and_changed(paths, "cortex" if of_token else "", of_token=of_token)
    return [
        *_with_slashes_in_names(rules, of_token=of_token),
        # The configuration contains the receivers' passwords, so reading it needs the scope for writing.
        Route(paths=ALERTS, scope="metrics:write", of_token=of_token, service=ALERTMANAGER),
    ]


def _alertmanager() -> list[Route]:
    """Return the routes of a tenant's own Alertmanager: its API and its pages."""
    return [
        *_read_and_changed(ALERTMANAGER_API, ALERTMANAGER),
        Route(paths=ALERTMANAGER_PAGES, scope="metrics:read", service=ALERTMANAGER, browser=True),
    ]


def _all_others(*, of_token: bool = False) -> Route:
    """Return the route of all paths that no route before has. Envoy looks up the tenant before the path is refused."""
    return Route(paths=ALL_PATHS, scope=None, closed=True, of_token=of_token, service="cortex" if of_token else "")


ROUTES: dict[Api, list[Route]] = {
    "cortex": [
        # Below `/api/prom`, Grafana writes what its own recording rules give.
        Route(paths=f"(/api/v1|{PROM})/push", scope="metrics:write", push=True),
        # Cortex answers 500 where clients should retry, as to remote write. Loki answers 503 there.
        Route(paths="/api/v1/otlp/v1/metrics", scope="metrics:write", push=True, otlp=True),
        *_alerting(),
        Route(paths=f"/api/v1/({'|'.join(CORTEX_READS)})", scope="metrics:read", prefix="/prometheus"),
        Route(paths=f"({PROM}|/prometheus)/api/v1/({'|'.join(CORTEX_READS)}|{STATES})", scope="metrics:read"),
        *_alertmanager(),
        _all_others(),
    ],
    "loki": [
        Route(paths="/loki/api/v1/push", scope="logs:write", push=True),
        Route(paths="/otlp/v1/logs", scope="logs:write", push=True, otlp=True),
        *_with_slashes_in_names(
            [
                Route(paths=f"({LOKI_RULES}|{PROM_RULES})", scope="logs:write", changes=True, decoded_twice=True),
                Route(paths=f"({LOKI_RULES}|{PROM_RULES})", scope="logs:read", decoded_twice=True),
            ]
        ),
        Route(paths=f"/prometheus/api/v1/{STATES}", scope="logs:read"),
        Route(paths="/loki/api/v1/delete", scope="logs:write", changes=True),
        Route(paths=TAIL, scope="logs:read", websocket=True),
        Route(paths=f"/loki/api/v1/(delete|tail|{'|'.join(LOKI_READS)})", scope="logs:read"),
        _all_others(),
    ],
}
INSTANCE_ROUTES = [*_alerting(of_token=True), _all_others(of_token=True)]
