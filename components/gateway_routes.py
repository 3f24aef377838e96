"""What can be reached through the gateway, and with which scope: nothing else is open.

A route says so in its metadata, to the gateway's steps before and after authentication.
"""

from typing import Any

from components import gateway_lua
from components.access import Scope
from components.gateway_files import HTTP
from components.names import ALERTMANAGER, ALERTMANAGER_PATH, TAIL, Api

QUERY_SECONDS = 300
# Its token is looked at when a tail begins: cut so soon, it outlives no revocation. logcli begins again by itself.
TAIL_SECONDS = 60
# Nothing of such a request was sent: it is not the client's concern that a pod has just ended where there are others, nor
# that the nodes do not yet know of one that has just begun, which they do a second or two after it is ready. The waits are
# random, 3.75 s altogether on average. Of a larger body than the listener keeps nothing is sent again: its client does.
RETRIES: dict[str, Any] = {
    "retry_on": "connect-failure,refused-stream,reset-before-request",
    "num_retries": 10,
    "retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"},
}
BASIC = 'Basic realm="tenant API token as the password"'
NO_FRAME = [{"header": {"key": "content-security-policy", "value": "frame-ancestors 'none'"}}]
CORTEX_READS = (
    "query",
    "query_range",
    "series",
    "labels",
    "label/[^/]+/values",
    "metadata",
    "read",
)


def first_step(host: str) -> str:
    """Return the name of the first step at a virtual host."""
    return f"before-{host}"


def _route(
    regex: str,
    scope: Scope,
    *,
    push: bool = False,
    websocket: bool = False,
    prefix: str = "",
    changes: bool = False,
    service: str = "",
    of_token: bool = False,
    browser: bool = False,
) -> dict[str, Any]:
    """Return a route for the paths that `regex` matches whole, with the scope that a token needs for it.

    `prefix` goes before the path upstream; with `changes` it is for all methods but those that only read. `service`: to
    which of the tenant's it goes, where that is not the host's API; `of_token`: to that of the token's tenant, for the host
    names none. `browser`: people look at it, who are asked for their token.
    """
    match: dict[str, Any] = {"safe_regex": {"regex": regex}}
    if changes:
        reading = {"safe_regex": {"regex": "GET|HEAD"}}
        match["headers"] = [{"name": ":method", "string_match": reading, "invert_match": True}]
    action: dict[str, Any] = {"cluster": "tenant", "timeout": "0s" if websocket else f"{QUERY_SECONDS}s"}
    action["retry_policy"] = RETRIES
    if prefix:
        action["regex_rewrite"] = {"pattern": {"regex": "^(.*)$"}, "substitution": f"{prefix}\\1"}
    if websocket:
        action["upgrade_configs"] = [{"upgrade_type": "websocket", "enabled": True}]
        action["max_stream_duration"] = {"max_stream_duration": f"{TAIL_SECONDS}s"}
    # Here and not in the route's action, which is read too late: the name that the client used would be looked up.
    upstream = {
        "@type": f"{HTTP}.dynamic_forward_proxy.v3.PerRouteConfig",
        "host_rewrite_header": gateway_lua.UPSTREAM_HEADER,
    }
    filters: dict[str, Any] = {"forward": upstream}
    if not push:
        filters["push-answers"] = {"@type": f"{HTTP}.lua.v3.LuaPerRoute", "disabled": True}
    before = ({gateway_lua.SERVICE: service} if service else {}) | ({gateway_lua.CHALLENGE: BASIC} if browser else {})
    told = {
        "access": {"scope": scope} | ({gateway_lua.SERVICE_OF_TOKEN: service} if of_token else {}),
        **({first_step("cortex"): before} if before and not of_token else {}),
    }
    shown: dict[str, Any] = {"response_headers_to_add": NO_FRAME} if browser else {}
    return {
        **shown,
        "match": match,
        "route": action,
        "metadata": {"filter_metadata": told},
        "typed_per_filter_config": filters,
    }


# Cortex 1.21, 'HTTP API', 'Ruler' and 'Alertmanager'
CORTEX_RULES = "/api/v1/rules(/.*)?"
ALERTS = "/api/v1/alerts"
# Of the Alertmanager, its pages and the API that they use.
PAGES = f"{ALERTMANAGER_PATH}/"
ALERTMANAGER_API = f"{PAGES}api/v2/.*"
ALERTMANAGER_PAGES = rf"{PAGES}(script\.js|favicon\.ico|lib/.*)?"


def _read_and_changed(regex: str, **more: Any) -> list[dict[str, Any]]:
    """Return the routes of what is read with one scope and changed with another."""
    return [_route(regex, "metrics:write", changes=True, **more), _route(regex, "metrics:read", **more)]


def _alerting(*, of_token: bool = False) -> list[dict[str, Any]]:
    """Return the routes of a tenant's rules, and of where its alerts are sent."""
    return [
        *_read_and_changed(CORTEX_RULES, of_token=of_token, service="cortex" if of_token else ""),
        # It holds the receivers' passwords, so that to look takes no less than to change.
        _route(ALERTS, "metrics:write", of_token=of_token, service=ALERTMANAGER),
    ]


def _alertmanager() -> list[dict[str, Any]]:
    """Return the routes of a tenant's own Alertmanager, for people and what they use."""
    return [
        *_read_and_changed(ALERTMANAGER_API, service=ALERTMANAGER),
        _route(ALERTMANAGER_PAGES, "metrics:read", service=ALERTMANAGER, browser=True),
    ]


ROUTES: dict[Api, list[dict[str, Any]]] = {
    "cortex": [
        _route("/api/v1/push", "metrics:write", push=True),
        _route(f"/api/v1/({'|'.join(CORTEX_READS)})", "metrics:read", prefix="/prometheus"),
        *_alerting(),
        *_alertmanager(),
    ],
    "loki": [
        _route("/loki/api/v1/push", "logs:write", push=True),
        _route("/loki/api/v1/(delete|rules)(/.*)?", "logs:write", changes=True),
        _route(TAIL, "logs:read", websocket=True),
        _route("/loki/api/v1/[^/].*", "logs:read"),
    ],
}
INSTANCE_ROUTES = _alerting(of_token=True)
