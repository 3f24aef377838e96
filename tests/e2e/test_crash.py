"""A killed `pulumi up`, two at once, and what the command makes of what they leave."""

import signal
import subprocess
import time
from pathlib import Path

from scripts.engine import PROJECT
from scripts.state_files import state_file
from tests.e2e.walk import INSTANCE, LABELS, STACK_FILE, Walk, url
from tests.shell import ROOT
from tests.waiting import eventually

TENANT = "crashing"
UP = ["pulumi", "--non-interactive", "up", "--yes", "--skip-preview", "--stack", INSTANCE]


def _start_up(walk: Walk, until: str) -> subprocess.Popen[bytes]:
    """Start `pulumi up`, and return it once its state says that it is creating `until`; its output comes before that."""
    process = subprocess.Popen(UP, cwd=ROOT, env=walk.shell, stdout=subprocess.DEVNULL)
    state = state_file(walk.shell["PULUMI_BACKEND_URL"], PROJECT, INSTANCE)
    while process.poll() is None:
        if f'"{until}' in state.read_text().partition('"pending_operations"')[2]:
            return process
        time.sleep(0.005)
    raise AssertionError(f"pulumi up ended without creating {until!r}")


def test_a_killed_up_converges_and_two_at_once_do_no_harm(walk: Walk) -> None:
    before = STACK_FILE.read_text()
    STACK_FILE.write_text(
        before.replace("- name: default\n", f"- name: default\n    - name: {TENANT}\n      onDelete: purge\n", 1)
    )
    process = _start_up(walk, f"{INSTANCE}-{TENANT}-")

    # A second one at once is refused, while the first stands still in the middle of its work; by the command with the name
    # of the process that is at work.
    process.send_signal(signal.SIGSTOP)
    other = subprocess.Popen(UP, cwd=ROOT, env=walk.shell, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    second = walk.opstrace("recover", "local", INSTANCE, check=False)
    said = other.communicate(timeout=60)[0]
    process.kill()
    process.communicate()
    assert second.returncode == 1 and f"process {process.pid} of" in second.stderr, second.stderr
    assert other.returncode and "currently locked" in said and "pulumi cancel" in said
    time.sleep(1)

    # Whatever applies settles first what was left.
    done = walk.opstrace("tenants", "set", "local", INSTANCE, TENANT, "owner=x")
    assert f"The lock of pulumi process {process.pid}, which was killed at work, is cleared." in done.stderr
    assert "it is not known how they went" in done.stderr and f"1 tenant to add ({TENANT})" in done.stderr
    assert len(walk.buckets(TENANT)) == 3
    urns = [entry["urn"] for entry in walk.resources()]
    assert len(urns) == len({*urns})
    assert sum(f"tenant-{TENANT}" in urn for urn in urns) == 33  # with the three components

    STACK_FILE.write_text(before)
    walk.pulumi("up", "--yes", "--skip-preview")
    assert walk.buckets(TENANT) == []
    assert walk.curl(url("cortex", "default", LABELS), token=walk.token("default"))[0] == 200


def test_no_plugin_outlives_its_engine(walk: Walk) -> None:
    eventually(lambda: _plugins(walk) == [], 20)  # each looks twice a second whether its engine is there


def _plugins(walk: Walk) -> list[str]:
    """Return the command lines of the running plugins of the tests' engines."""
    home, found = walk.shell["PULUMI_HOME"].encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment, command = (process / "environ").read_bytes(), (process / "cmdline").read_bytes()
        except OSError:
            continue
        if home in environment and b"localcloud.plugins" in command:
            found.append(command.decode())
    return found
