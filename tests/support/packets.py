"""Packets between pods: requests from a pod's network namespace, without the pod's own program."""

import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path

from components.core.tags import NAME_LABEL
from tests.support.shell import run
from tests.support.user_session import UserSession

REFUSED, TIMED_OUT, RESET = 7, 28, 56  # curl's exit codes
WAIT_SECONDS = "4"


@dataclass(frozen=True)
class PodNetwork:
    """A running pod: its address, and the id of a process in its network namespace."""

    address: str
    process: str

    @classmethod
    def of(cls, walk: UserSession, namespace: str, name: str) -> "PodNetwork":
        """Return the network of a pod of the workload `name`."""
        selection = ("-n", namespace, "-l", f"{NAME_LABEL}={name}", "-o", "json")
        pod = json.loads(walk.kubectl("get", "pods", *selection))["items"][0]
        uid = pod["metadata"]["uid"]
        groups = (path for path in Path("/proc").glob("[0-9]*/cgroup") if uid in _text(path))
        return cls(pod["status"]["podIP"], next(groups).parent.name)

    def command(self, *words: str) -> None:
        """Run a command in the pod's network namespace."""
        run("nsenter", "-t", self.process, "-n", *words)

    def output(self, *words: str) -> str:
        """Run a command in the pod's network namespace, and return its output."""
        return run("nsenter", "-t", self.process, "-n", *words).stdout

    def link_local(self) -> str:
        """Return the pod's link-local IPv6 address, as a neighbour writes it in a URL."""
        lines = (line.split() for line in Path(f"/proc/{self.process}/net/if_inet6").read_text().splitlines())
        (digits,) = (fields[0] for fields in lines if fields[-1] == "eth0")
        return f"[{ipaddress.IPv6Address(int(digits, 16))}%25eth0]"

    def reaches(self, address: str) -> bool:
        """Return whether an HTTP server at `address` (host and port) answers; False means that packets are dropped."""
        code = self._curl_exit_code(address)
        assert code in (0, TIMED_OUT), code
        return code == 0

    def is_refused(self, address: str) -> bool:
        """Return whether packets arrive at `address`, and no process listens there."""
        return self._curl_exit_code(address) == REFUSED

    def is_cut_off(self, address: str) -> bool:
        """Return whether packets arrive at `address`, and the server closes the connection without an answer."""
        return self._curl_exit_code(address) == RESET

    def _curl_exit_code(self, address: str) -> int:
        command = ("nsenter", "-t", self.process, "-n", "curl", "-s", "-o", "/dev/null", "-m", WAIT_SECONDS)
        return int(run(*command, f"http://{address}/", check=False).returncode)


def process_of(walk: UserSession, namespace: str, pod: str, program: str) -> int | None:
    """Return the id of the process of a program in a pod, None while it does not run."""
    uid = walk.kubectl("-n", namespace, "get", "pod", pod, "-o", "jsonpath={.metadata.uid}")
    groups = (path for path in Path("/proc").glob("[0-9]*/cgroup") if uid in _text(path))
    found = (int(path.parent.name) for path in groups if _text(path.parent / "comm").strip() == program)
    return next(found, None)


def enforcer(slot: int) -> str:
    """Return the id of the process that enforces network policies, in the network namespace of a cloud's node."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        words = _text(path).split("\0")
        if "localcloud.node.policies" in words and f"/local-{slot}" in "".join(words):
            return path.parent.name
    raise AssertionError(f"no process enforces the network policies of the cloud in slot {slot}")


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process has ended
        return ""
