"""Back ends as in their pods: with the pod's intervals, each in a cgroup that counts memory as the kubelet does."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.config.tenant import TenantSettings
from components.tenant.back_ends.shared_blocks import POLL_AT_AWS
from tests.security.cost.cgroup import MIB, PodCgroup, drop_page_cache
from tests.support.backend import KEYS, Backend

POD_BYTES = 2048 * MIB  # the memory limit of a pod of the size `small`
AT_AWS = TenantSettings.model_validate({"rulePollInterval": POLL_AT_AWS})  # moto's endpoint is not AWS's


@dataclass(frozen=True)
class Memory:
    """Memory of a pod in MiB.

    Attributes:
        working_set: What the kubelet counts: all but the page cache that can be reclaimed.
        anonymous: What no file backs: heap, stacks and data of the program.
        resident: What the process has in memory, with the pages of the program, which all pods on a node share.
    """

    working_set: float
    anonymous: float
    resident: float


@dataclass(frozen=True)
class Difference:
    """What a pod has in place of the defaults: a part of its configuration, and variables of its environment."""

    change: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


class PodBackend(Backend):
    """A back end in a cgroup of its own, with the intervals of a pod on AWS.

    `program` is the file to run.
    """

    def __init__(self, name: str, folder: Path, endpoint: str, program: Path, difference: Difference) -> None:
        self.changes = {name: dict(difference.change)}
        self.environment = {**KEYS, **difference.environment}
        super().__init__(name, folder, endpoint, AT_AWS)
        self._file = program
        self._cgroup = PodCgroup(f"bench-{os.getpid()}-{folder.parent.name}-{folder.name}", POD_BYTES)

    def command(self) -> list[str]:
        """Return the command line of the program, which joins the cgroup."""
        _, *arguments = super().command()
        return self._cgroup.command([str(self._file), *arguments])

    def pod_memory(self) -> Memory:
        """Return the memory of the pod now."""
        return Memory(self._cgroup.used() / MIB, self._cgroup.anonymous() / MIB, self.memory())

    def close(self) -> None:
        """End the program, and remove its cgroup."""
        self._cgroup.close()
        self.kill()


def cold_copy(program: Path, folder: Path) -> Path:
    """Return a copy of a program that is not in the page cache: the first pod that runs it is charged for its pages.

    On a node, that is the pod that started first of those that run the image.
    """
    copy = Path(shutil.copy(program, folder))
    drop_page_cache(copy)
    return copy
