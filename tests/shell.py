"""Where the project is, and how tests run commands."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Where there are the official plugins, in a PULUMI_HOME, the engine's tests are run with them: with a whole instance, too.
PLUGINS = os.environ.get("OPSTRACE_TEST_PLUGINS")
OFFICIAL = {"PULUMI_HOME": PLUGINS} if PLUGINS else {}


def run(
    *command: str,
    cwd: Path = ROOT,
    env: dict[str, str] | None = None,
    check: bool = True,
    timeout: float = 300,
    typed: str | None = None,
):
    """Run a command to its end, with what is typed into it; a failure shows everything that it said."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout, input=typed)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)} exited {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done
