"""The keys that hostile tokens are signed with, what the instance knows of them, and what the back ends have seen."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kubernetes
import pytest

from components.keys import key_id
from components.names import PORTS
from scripts.keyfiles import new_key, read_key_pair
from scripts.stackfile import StackFile
from tests.e2e.walk import INSTANCE, LABELS, Walk, url
from tests.security.forge import REVOKED, Forgery, Keys
from tests.waiting import eventually

COUNTER = re.compile(r'((?:cortex|loki)_request_duration_seconds_count\{method="[A-Z]+",route="(\w+)".*?\}) (\d+)')

# Of the probes, of who reads the counters, and of the gateway's own metrics, which come into `system` at any time.
OWN_ROUTES = re.compile(r"^(ready|metrics)$|otlp")
SETTLING_SECONDS, SETTLED_TIMES = 0.2, 3


@dataclass(frozen=True)
class BackEnds:
    """The back ends' own counters of the HTTP requests that reached them, of both tenants."""

    core: Any

    def seen(self, tenant: str = "default") -> int:
        """Return how many requests a tenant's have had; those of `OWN_ROUTES` are left out."""
        return sum(self._of(program, port, tenant) for program, port in PORTS.items())

    def settled(self, tenant: str = "default") -> int:
        """Return the same when nothing is on its way any more: a request that was cut off may be counted late."""
        counts = [self.seen(tenant)]
        while len(counts) < SETTLED_TIMES or len({*counts[-SETTLED_TIMES:]}) > 1:
            time.sleep(SETTLING_SECONDS)
            counts.append(self.seen(tenant))
        return counts[-1]

    def _of(self, program: str, port: int, tenant: str) -> int:
        text = self.core.connect_get_namespaced_pod_proxy_with_path(
            f"{program}-0:{port}", f"{tenant}-tenant", "metrics"
        )
        found = COUNTER.findall(text)
        assert found, f"{program} of {tenant} counts nothing"
        return sum(int(count) for _, route, count in found if not OWN_ROUTES.search(route))


@pytest.fixture(scope="package")
def back_ends(walk: Walk) -> BackEnds:
    load: Any = kubernetes.config.new_client_from_config
    return BackEnds(kubernetes.client.CoreV1Api(load(walk.shell["KUBECONFIG"])))


@pytest.fixture(scope="package")
def keys(walk: Walk, trusted_pair: str) -> Iterator[Keys]:
    """Keys, of which the instance trusts one, and one for logs of `default` alone; one token's id is revoked."""
    limited = walk.folder / "hostile-limited.pem"
    walk.opstrace("ta-create-keypair", str(limited))
    limits = ["--tenant", "default", "--scope", "logs:write,logs:read", "--no-apply"]
    walk.opstrace("ta-pubkeys-add", "local", INSTANCE, str(limited), *limits)
    walk.opstrace("ta-revoke-token", "local", INSTANCE, REVOKED, "--expires", "2099-01-01T00:00:00Z")
    made = Keys(read_key_pair(Path(trusted_pair)), read_key_pair(limited), new_key())

    def in_force() -> bool:
        """Tell whether both pods of the gateway know; each request goes to one of them."""
        asked, token = url("cortex", "default", LABELS), made.token(Forgery(by="limited"))
        return all("does not cover" in walk.curl(asked, token=token)[1] for _ in range(15))

    eventually(in_force, 90)
    yield made
    walk.opstrace("ta-pubkeys-remove", "local", INSTANCE, key_id(made.limited.public_key()), "--no-apply")
    file = StackFile(INSTANCE)
    file.set_revoked_tokens({})
    file.write()
    walk.pulumi("up", "--yes", "--skip-preview")
