"""What the command needs of the launcher that started it."""

import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path

from scripts.clients.packages import Environment


def is_launchers(environment: Environment) -> bool:
    """Tell whether this process runs in the `.venv` that the launcher made."""
    return environment.is_running() and environment.stamp("command").exists()


def start_anew(arguments: Iterable[str]) -> None:
    """Start the launcher in place of this process if it made the environment for another Python, whose packages this one lacks.

    That is so once the system has replaced the `python3` to which the environment links. Ends the process with an error
    where it may not write there.
    """
    checkout = Path(__file__).parents[2]
    environment = Environment(checkout)
    if not is_launchers(environment) or environment.has_packages_of_its_python():
        return
    found = f"  {environment.folder} has the packages of another Python than {platform.python_version()}"
    print(found, file=sys.stderr, flush=True)
    try:
        environment.stamp("command").write_bytes(b"")
    except OSError as error:
        sys.exit(f"error: {environment.folder}: {error.strerror}; let your user write there, then run this again")
    os.execv(checkout / "opstrace", [str(checkout / "opstrace"), *arguments])  # noqa: S606 no shell is needed
