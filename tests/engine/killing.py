"""What tests that kill a command at work share: finding the engine that it waits for."""

import psutil


def engine_of(command: int) -> tuple[psutil.Process, str] | None:
    """Return the engine that a process of the `opstrace` command waits for, and what that does; None where there is none now."""
    try:
        for child in psutil.Process(command).children():
            if child.name() == "pulumi":
                return child, " ".join(child.cmdline()[2:4])
    except psutil.NoSuchProcess:
        pass  # one of them has just ended
    return None
