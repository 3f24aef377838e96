"""A page with many tenants and their figures: `python -m tests.support.many_tenants FOLDER NUMBER`.

The number in the file `load` of the folder is a factor of all figures, so that a test changes those of all tenants at once.
"""

import math
import sys
from pathlib import Path
from typing import Any

from localcloud.files import write_whole
from scripts.stackfile.file import StackFile
from scripts.tokens.signing import Signer
from scripts.web.data import figures
from scripts.web.server import Options, serve
from tests.support.contexts import FakeContext
from tests.support.factories import PAIR, settings
from tests.support.page import Engine, Pods, applied
from tests.support.tenant_apis import Asked, TenantApis, matrix

LOAD = "load"
FIGURES_SECONDS = 5  # between two rounds, so that a test waits less
TEAMS = 10


def name_of(number: int) -> str:
    """Return the name of a tenant. All are as long, so that their order is that of the numbers."""
    return f"tenant{number:04}"


def points(asked: Asked, number: int, load: float) -> list[tuple[float, float]]:
    """Return the points of a tenant's sparkline, which grow with its number."""
    start = float(asked.query["start"])
    return [(start + 180 * step, load * (number + 2 + math.sin(step * load + number))) for step in range(21)]


def set_load(folder: Path, load: int) -> None:
    """Write the factor of all figures. A server that reads it meanwhile finds the old one."""
    write_whole(folder / LOAD, str(load))


def main() -> None:
    """Write the stack file, and serve the page. All tenants are applied and ready."""
    folder, names = Path(sys.argv[1]), [name_of(number) for number in range(int(sys.argv[2]))]
    file = StackFile("showdown", folder)
    entries = [{"name": name, "owner": f"team {number % TEAMS}"} for number, name in enumerate(names)]
    for name, value in settings(tenants=[{"name": "default"}, *entries]).items():
        file.set(name, value)
    file.write()
    set_load(folder, 1)
    states, cluster = applied(folder), Pods()
    cluster.ready = dict.fromkeys([*names, "default", "system"], 1)

    def answer(asked: Asked) -> tuple[int, Any]:
        load = float((folder / LOAD).read_text())
        return 200, matrix(*(({"tenant": name}, points(asked, number, load)) for number, name in enumerate(names)))

    figures.ROUND_SECONDS = FIGURES_SECONDS
    context = FakeContext(folder, lambda stack: Engine(folder, states, [], stack), cluster=cluster)
    context.gateway = TenantApis(answer).client
    serve(context, "local", "showdown", Options(open_browser=False, signer=Signer(PAIR)))


if __name__ == "__main__":
    main()
