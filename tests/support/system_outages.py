"""Back ends of the system tenant that are down, or a pod in place of its Loki, which answers 429 and 503, in turn."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from components.core.images import ENVOY_IMAGE
from components.core.labels import labels
from components.core.names import PORTS, SYSTEM, namespace
from components.shared.pods import POD_SECURITY_CONTEXT, Container
from tests.support.envoy_server import answer, command_line, http_listener
from tests.support.manifests import apply, pod
from tests.support.user_session import INSTANCE, UserSession

STATUSES = (429, 503)
POD, PUSH = "refuses", "/otlp/v1/logs"
PLACE = ("-n", namespace(SYSTEM))
WAIT = "--timeout=240s"
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
    listener = http_listener(PORTS["loki"], [answer()], log="%REQ(:PATH)% %RESPONSE_CODE%", script=REFUSES)
    container = Container(
        name=POD,
        image=ENVOY_IMAGE,
        args=command_line(listener, level="off"),
        ports={"http": PORTS["loki"]},
        probe=("/ready", "http"),
        requests={"cpu": "10m", "memory": "32Mi"},
        memory_limit="128Mi",
    )
    # By these labels, Loki's Service and the network policy select the pod.
    marks = labels("loki", "logs", INSTANCE)
    spec = {
        "containers": [container.manifest()],
        "securityContext": POD_SECURITY_CONTEXT,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
    }
    return pod(namespace(SYSTEM), POD, spec, labels=marks)
