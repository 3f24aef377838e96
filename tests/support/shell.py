"""The project's folder, and running commands."""

import os
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
# A PULUMI_HOME with the official plugins, for the tests to use in place of the stand-ins.
PLUGINS = os.environ.get("OPSTRACE_TEST_PLUGINS")
OFFICIAL = {"PULUMI_HOME": PLUGINS} if PLUGINS else {}


def administrator(shell: dict[str, str]) -> dict[str, Any]:
    """Return the administrator's credentials for the embedded AWS from a shell's environment, under boto3's names."""
    return {name: shell[name.upper()] for name in ("aws_access_key_id", "aws_secret_access_key")}


def run(
    *command: str,
    cwd: Path = ROOT,
    env: dict[str, str] | None = None,
    check: bool = True,
    timeout: float = 300,
    typed: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with `typed` as its standard input; a failure shows all its output."""
    done = subprocess.run(
        command, check=False, cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout, input=typed
    )
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)} exited {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def local_environment(launcher: str, environment: dict[str, str]) -> dict[str, str]:
    """Return the environment after `eval "$(./opstrace env local)"`, with `launcher` as `./opstrace`."""
    exports = run(launcher, "env", "local", env=environment).stdout
    shell = run("sh", "-c", f"{exports}\nenv -0", env=environment).stdout
    return dict(line.split("=", 1) for line in shell.split("\0") if "=" in line)
