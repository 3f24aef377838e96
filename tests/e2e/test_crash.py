"""A killed `pulumi up`, and two at once: the next command settles the state."""

import re
import signal
import subprocess
import time
from pathlib import Path

from components.core.resource_names import PROJECT
from scripts.engine.state_repair import state_file
from tests.support.polling import eventually
from tests.support.user_session import INSTANCE, LABELS, UserSession, url

TENANT = "crashing"
UP = ["pulumi", "--non-interactive", "up", "--yes", "--skip-preview", "--stack", INSTANCE]


def _start_up(walk: UserSession, until: str) -> subprocess.Popen[bytes]:
    """Start `pulumi up`; return it once its state says that it is creating `until`."""
    process = subprocess.Popen(UP, cwd=walk.project.folder, env=walk.shell, stdout=subprocess.DEVNULL)
    state = state_file(walk.shell["PULUMI_BACKEND_URL"], PROJECT, INSTANCE)
    while process.poll() is None:
        if f'"{until}' in state.read_text().partition('"pending_operations"')[2]:
            return process
        time.sleep(0.005)
    raise AssertionError(f"pulumi up ended without creating {until!r}")


def test_a_killed_up_converges_and_two_concurrent_ones_do_no_harm(walk: UserSession) -> None:
    before = walk.stack_path.read_text()
    entry = rf"\1- name: default\n\1- name: {TENANT}\n\1  onDelete: purge\n"
    walk.stack_path.write_text(re.sub(r"^( *)- name: default\n", entry, before, count=1, flags=re.MULTILINE))
    process = _start_up(walk, f"{INSTANCE}-{TENANT}-")

    # While the first update is stopped, the engine refuses a second update. `opstrace` names the process.
    process.send_signal(signal.SIGSTOP)
    other = subprocess.Popen(
        UP, cwd=walk.project.folder, env=walk.shell, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    second = walk.opstrace("recover", "local", INSTANCE, check=False)
    output = other.communicate(timeout=60)[0]
    process.kill()
    process.communicate()
    assert second.returncode == 1 and f"process {process.pid} of" in second.stderr, second.stderr
    assert other.returncode and "currently locked" in output and "pulumi cancel" in output
    time.sleep(1)

    # Every command that applies settles the interrupted update first.
    done = walk.opstrace("tenants", "set", "local", INSTANCE, TENANT, "owner=x")
    assert f"Cleared the lock of pulumi process {process.pid}, which was killed." in done.stderr
    assert "The last update was killed." in done.stderr and f"1 tenant to add ({TENANT})" in done.stderr
    assert len(walk.buckets(TENANT)) == 3
    urns = [entry["urn"] for entry in walk.resources()]
    assert len(urns) == len({*urns})
    assert sum(f"tenant-{TENANT}" in urn for urn in urns) == 33  # the three components included

    walk.stack_path.write_text(before)
    walk.pulumi("up", "--yes", "--skip-preview")
    assert walk.buckets(TENANT) == []
    assert walk.curl(url("cortex", "default", LABELS), token=walk.token("default"))[0] == 200


def test_no_plugin_outlives_its_engine(walk: UserSession) -> None:
    eventually(lambda: _plugins(walk) == [], 20)  # each checks twice a second whether its engine runs


def _plugins(walk: UserSession) -> list[str]:
    """Return the command lines of the running plugins of the tests' engines."""
    home, commands = walk.shell["PULUMI_HOME"].encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment, command = (process / "environ").read_bytes(), (process / "cmdline").read_bytes()
        except OSError:
            continue
        if home in environment and b"localcloud.plugins" in command:
            commands.append(command.decode())
    return commands
