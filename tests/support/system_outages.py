"""Back ends of the system tenant that are down, or a pod in place of its Loki, which answers 429 and 503, in turn."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from components.core.images import ENVOY_IMAGE
from components.core.labels import labels
from components.core.names import PORTS, SYSTEM, namespace
from components.shared.pods import POD_SECURITY_CONTEXT, Container
from tests.support.manifests import apply
from tests.support.user_session import INSTANCE, UserSession

STATUSES = (429, 503)
POD, PUSH = "refuses", "/otlp/v1/logs"
PLACE = ("-n", namespace(SYSTEM))
WAIT = "--timeout=240s"
TYPES = "type.googleapis.com/envoy.extensions"
# In a pod with one worker, so that it counts all requests.
REFUSES = f"""
local statuses, asked = {{"{STATUSES[0]}", "{STATUSES[1]}"}}, 0
function envoy_on_request(request)
  if request:headers():get(":path") ~= "/ready" then
    asked = asked + 1
    request:respond({{[":status"] = statuses[asked % 2 + 1]}}, "")
  end
end
"""


@contextmanager
def stopped(walk: UserSession, *programs: str) -> Iterator[None]:
    """Stop back ends of the system tenant. They have ended when the block begins, and are started at its end."""
    scale = (*PLACE, "scale", *(f"statefulset/{program}" for program in programs))
    try:
        walk.kubectl(*scale, "--replicas=0")
        walk.kubectl(*PLACE, "wait", "--for=delete", *(f"pod/{program}-0" for program in programs), WAIT)
        yield
    finally:
        walk.kubectl(*scale, "--replicas=1")


@contextmanager
def refusing_loki(walk: UserSession) -> Iterator[Callable[[], Counter[int]]]:
    """Replace Loki until the block ends; yields a function that returns how often each status was the answer to a push."""

    def answered() -> Counter[int]:
        answers = (line.split() for line in walk.kubectl(*PLACE, "logs", POD).splitlines())
        return Counter(int(status) for path, status in answers if path == PUSH)

    with stopped(walk, "loki"):
        try:
            apply(walk.shell, _pod())
            walk.kubectl(*PLACE, "wait", "--for=condition=Ready", f"pod/{POD}", WAIT)
            yield answered
        finally:
            walk.kubectl(*PLACE, "delete", "pod", POD, "--ignore-not-found")


def _pod() -> dict[str, Any]:
    container = Container(
        name=POD,
        image=ENVOY_IMAGE,
        args=["--config-yaml", json.dumps(_envoy()), "--concurrency", "1", "--disable-hot-restart", "-l", "off"],
        ports={"http": PORTS["loki"]},
        probe=("/ready", "http"),
        requests={"cpu": "10m", "memory": "32Mi"},
        memory_limit="128Mi",
    )
    # By these labels, Loki's Service and the network policy select the pod.
    metadata = {"name": POD, "namespace": namespace(SYSTEM), "labels": labels("loki", "logs", INSTANCE)}
    spec = {
        "containers": [container.manifest()],
        "securityContext": POD_SECURITY_CONTEXT,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _envoy() -> dict[str, Any]:
    routes = [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}]
    log = {
        "@type": f"{TYPES}.access_loggers.stream.v3.StdoutAccessLog",
        "log_format": {"text_format_source": {"inline_string": "%REQ(:PATH)% %RESPONSE_CODE%\n"}},
    }
    filters = {
        "lua": {"@type": f"{TYPES}.filters.http.lua.v3.Lua", "default_source_code": {"inline_string": REFUSES}},
        "router": {"@type": f"{TYPES}.filters.http.router.v3.Router"},
    }
    manager = {
        "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": POD,
        "access_log": [{"name": "stdout", "typed_config": log}],
        "route_config": {"virtual_hosts": [{"name": POD, "domains": ["*"], "routes": routes}]},
        "http_filters": [{"name": name, "typed_config": config} for name, config in filters.items()],
    }
    listener = {
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": PORTS["loki"]}},  # noqa: S104 in a pod
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return {"static_resources": {"listeners": [listener]}}
