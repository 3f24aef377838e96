"""The kubelet of the tests' node, which can be started again with another configuration and another certificate."""

import datetime
import json
from pathlib import Path
from typing import Any

import psutil
import pytest

from localcloud import certificate_authority
from localcloud.certificate_authority import Authority, write_pair
from localcloud.files import write_whole
from localcloud.settings import Settings
from tests.support.cloud_processes import processes_of
from tests.support.polling import eventually
from tests.support.user_session import SLOT, UserSession

START_SECONDS = 120


class LiveKubelet:
    """The kubelet. Its supervisor starts it again when it ends, and it reads its files at its start."""

    def __init__(self, walk: UserSession) -> None:
        self._walk = walk
        process = self.process()
        options = dict(word.lstrip("-").split("=", 1) for word in process.cmdline() if "=" in word)
        self._files = {name: Path(options[name]) for name in ("config", "kubeconfig")}
        self._before = {path: path.read_text() for path in self._files.values()}
        self.settings = Settings(SLOT, self._files["config"].parent.parent)

    @staticmethod
    def process() -> psutil.Process:
        """Return the process of the kubelet, which runs."""
        return processes_of(SLOT, "kubelet")[0]

    def restart(self, changes: dict[str, Any], life: datetime.timedelta) -> None:
        """Start it with these changes of its configuration, and with a client certificate that is valid for `life`."""
        config, kubeconfig = (json.loads(path.read_text()) for path in self._files.values())
        pair = self.settings.node / "kubelet-client"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(certificate_authority, "LIFE", life)
            user = f"system:node:{self.settings.name}"
            write_pair(pair, Authority.of(self.settings).issue(user, organization="system:nodes"))
        files = {"client-certificate": f"{pair}.pem", "client-key": f"{pair}-key.pem"}
        kubeconfig["users"][0]["user"] = files
        self._start(
            {self._files["config"]: json.dumps(config | changes), self._files["kubeconfig"]: json.dumps(kubeconfig)}
        )

    def restore(self) -> None:
        """Start it as before."""
        self._start(self._before)

    def _start(self, files: dict[Path, str]) -> None:
        for path, text in files.items():
            write_whole(path, text, 0o600)
        killed = self.process()
        killed.kill()
        began = datetime.datetime.now(datetime.UTC)
        eventually(lambda: self._reported() > began, START_SECONDS)

    def _reported(self) -> datetime.datetime:
        """Return when the kubelet last said that its node is ready; long ago if it did not."""
        node = json.loads(self._walk.kubectl("get", "node", self.settings.name, "-o", "json"))
        times = [
            each["lastHeartbeatTime"]
            for each in node["status"]["conditions"]
            if each["type"] == "Ready" and each["status"] == "True"
        ]
        return max(
            map(datetime.datetime.fromisoformat, times), default=datetime.datetime.min.replace(tzinfo=datetime.UTC)
        )
