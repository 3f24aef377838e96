"""The list of the page while the engine reads the states of 1,000 own stacks: `.venv/bin/python -m bench.page_states`, as root.

The stacks are those of `bench.scale`: copies of the state of one tenant, in the backend of a cloud without a node. The page is
that of the command, with the real engine, moto and an API server. A browser follows it, and asks for the list meanwhile.
`bench.page` measures the page with recorded states.
"""

import re
import statistics
import sys
import time

from bench.figure import Figure, finish
from bench.page import MOST_LIST, PAUSE, TENANTS, Browser, started_page
from bench.scale import INSTANCE, new_bench
from bench.stack_files import forget_files
from scripts.stackfile.file import ROOT

TITLE = "The tenants page while states are read"
SECONDS = 1800  # for all states, at most
READ = re.compile(r"The engine's state was read at")


def measure() -> list[Figure]:
    """Measure the first read of all states, and the lists that a browser gets until it ends."""
    forget_files(INSTANCE)  # left by a run that was killed
    with new_bench() as bench:
        bench.everything(1)
        bench.own(0)
        bench.beside(len(TENANTS))
        command = [str(ROOT / "opstrace"), "ui", "aws", INSTANCE, "--no-browser"]
        with started_page(command, bench.environment) as (_, url, _):
            browser, lists = Browser(url), list[float]()
            began = time.monotonic()
            while not READ.search(browser.text("/ages")):
                if time.monotonic() - began > SECONDS:
                    sys.exit(f"the list has not all states after {SECONDS} s: {browser.text('/')[:2000]}")
                lists.append(browser.seconds("/", "tenant-t0"))
                time.sleep(PAUSE)
            took = time.monotonic() - began
    return [
        Figure(f"states of {len(TENANTS):,} own stacks, first read", took, "s"),
        Figure("list while states are read", statistics.median(lists), "s", most=MOST_LIST),
        Figure(f"slowest of {len(lists)} lists while states are read", max(lists), "s"),
    ]


if __name__ == "__main__":
    finish(TITLE, measure())
