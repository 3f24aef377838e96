"""After a reboot: the node is gone with all that it held, the stacks' state is not."""

import json
import os
import signal
from pathlib import Path

from tests.e2e.walk import INSTANCE, LABELS, Walk, url
from tests.waiting import eventually


def test_after_a_reboot_the_instance_comes_back_without_its_data(walk: Walk) -> None:
    home = Path(walk.shell["KUBECONFIG"]).parent
    os.kill(json.loads((home / "pid").read_text())["pid"], signal.SIGKILL)  # all that a reboot ends
    done = walk.opstrace("status", "local", INSTANCE, check=False)
    assert done.returncode == 1 and "`./opstrace local up` starts it" in done.stderr
    walk.opstrace("local", "up")
    walk.pulumi("up", "--yes", "--skip-preview", "--refresh")
    eventually(lambda: walk.curl(url("cortex", "default", LABELS), token=walk.token("default"))[0] == 200)
    assert len(walk.buckets("default")) == 3
