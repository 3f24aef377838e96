"""A page with a key, over tenants' APIs with recorded answers: `python -m tests.support.explored FOLDER`."""

import sys
from pathlib import Path
from typing import Any

from scripts.stackfile.file import StackFile
from scripts.tokens.signing import Signer
from scripts.web.server import Options, serve
from tests.support.contexts import FakeContext
from tests.support.factories import PAIR, settings
from tests.support.page import Engine, Pods
from tests.support.tenant_apis import Asked, TenantApis, matrix, streams

SCRIPT = "<img src=x onerror=alert(1)>"
METRICS = ["http_requests_total", "up", "upload_bytes_total"]
BROKEN = "sum("  # a query with which the back end finds fault
PARSE_ERROR = "1:4: parse error: unexpected end of input"
NAMES: dict[str, Any] = {
    "/api/v1/label/__name__/values": METRICS,
    "/api/v1/labels": ["instance", "job"],
    "/api/v1/label/job/values": ["shop"],
    "/loki/api/v1/labels": ["job", "level"],
    "/loki/api/v1/label/job/values": ["ops", "shop"],
    "/api/v1/series": [{"__name__": "up", "job": "shop"}],
    "/api/v1/metadata": {"up": [{"type": "gauge", "help": "Whether a target answers.", "unit": ""}]},
}


def answer(asked: Asked) -> tuple[int, Any]:
    """Answer as Cortex and Loki do: series of `up`, lines of any log, names, and an error for `BROKEN`."""
    if asked.path in NAMES:
        return 200, {"status": "success", "data": NAMES[asked.path]}
    if asked.query["query"] == BROKEN:
        return 400, {"status": "error", "errorType": "bad_data", "error": PARSE_ERROR}
    end = int(asked.query["end"].split(".")[0])
    if asked.path == "/loki/api/v1/query_range":
        lines = [(end - number * 1_000_000, f"line {number} {SCRIPT}") for number in range(3)]
        return 200, streams(({"job": "shop", "level": SCRIPT}, lines))
    points = [(float(end - 60 * minutes), float(minutes)) for minutes in range(59, -1, -1)]
    series = [({"__name__": "up", "job": "shop", "instance": name}, points) for name in ("a:1", SCRIPT)]
    return 200, matrix(*series)


def main() -> None:
    """Write a stack file that trusts a new key into a folder, and serve the page about it."""
    folder = Path(sys.argv[1])
    file = StackFile("showdown", folder)
    for name, value in settings(tenants=[{"name": "default"}, {"name": "ops"}]).items():
        file.set(name, value)
    file.write()
    states: dict[str, list[dict[str, Any]]] = {"showdown": []}
    context = FakeContext(folder, lambda stack: Engine(folder, states, [], stack), cluster=Pods())
    context.gateway = TenantApis(answer).client
    serve(context, "local", "showdown", Options(open_browser=False, signer=Signer(PAIR)))


if __name__ == "__main__":
    main()
