"""What packets of one pod reach another: asked in the pods' own networks, past all that their programs would do."""

import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path

from components.labels import NAME_LABEL
from tests.e2e.walk import Walk
from tests.shell import run

REFUSED, TIMED_OUT = 7, 28  # curl's exit codes
WAIT_SECONDS = "4"


@dataclass(frozen=True)
class PodNetwork:
    """A running pod: its address, and a process whose network it is."""

    address: str
    process: str

    @classmethod
    def of(cls, walk: Walk, namespace: str, name: str) -> "PodNetwork":
        """Return that of a pod of the workload `name`."""
        chosen = ("-n", namespace, "-l", f"{NAME_LABEL}={name}", "-o", "json")
        found = json.loads(walk.kubectl("get", "pods", *chosen))["items"][0]
        uid = found["metadata"]["uid"]
        groups = (path for path in Path("/proc").glob("[0-9]*/cgroup") if uid in _text(path))
        return cls(found["status"]["podIP"], next(groups).parent.name)

    def link_local(self) -> str:
        """Return the pod's address of IPv6, which every interface has, as its neighbours write it in a URL."""
        lines = (line.split() for line in Path(f"/proc/{self.process}/net/if_inet6").read_text().splitlines())
        (found,) = (fields[0] for fields in lines if fields[-1] == "eth0")
        return f"[{ipaddress.IPv6Address(int(found, 16))}%25eth0]"

    def reaches(self, address: str) -> bool:
        """Tell whether an HTTP server at `address` (with its port) answers; nothing at all comes back where it does not."""
        code = self._asked(address)
        assert code in (0, TIMED_OUT), code
        return code == 0

    def is_refused(self, address: str) -> bool:
        """Tell whether the packets arrive at `address`, and nobody listens there."""
        return self._asked(address) == REFUSED

    def _asked(self, address: str) -> int:
        command = ("nsenter", "-t", self.process, "-n", "curl", "-s", "-o", "/dev/null", "-m", WAIT_SECONDS)
        return int(run(*command, f"http://{address}/", check=False).returncode)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it has ended
        return ""
