"""The processes of the tests' clouds."""

import psutil


def processes_of(slot: int, name: str = "") -> list[psutil.Process]:
    """Return the processes of the tests' cloud in `slot`: all, or those with this name."""
    return [
        process
        for process in psutil.process_iter(["name", "cmdline"])
        if name in ("", process.info["name"])
        # A process that has just ended has no command line.
        and f"/opstrace/local-{slot}" in " ".join(process.info["cmdline"] or ())
    ]
