"""After a reboot: the node and its data are gone, the stacks' state is not."""

import json
import os
import signal
from pathlib import Path

from tests.support.polling import eventually
from tests.support.shell import local_environment
from tests.support.user_session import INSTANCE, LABELS, UserSession, url


def test_after_a_reboot_the_instance_comes_back_without_its_data(walk: UserSession) -> None:
    home = Path(walk.shell["KUBECONFIG"]).parent
    os.kill(json.loads((home / "pid").read_text())["pid"], signal.SIGKILL)  # the node ends with it, as in a reboot
    done = walk.opstrace("status", "local", INSTANCE, check=False)
    assert done.returncode == 1 and "start it: `./opstrace local up`" in done.stderr
    walk.opstrace("local", "up")
    walk.shell.update(
        local_environment(walk.project.launcher, walk.shell)
    )  # the cloud has new credentials; all tests share the shell
    walk.pulumi("up", "--yes", "--skip-preview", "--refresh")
    eventually(lambda: walk.curl(url("cortex", "default", LABELS), token=walk.token("default"))[0] == 200)
    assert len(walk.buckets("default")) == 3
