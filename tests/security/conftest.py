"""The keys that sign hostile tokens, their trust in the instance, and the back ends' counters of requests."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kubernetes
import pytest

from components.core.names import PORTS, SYSTEM
from components.core.public_keys import key_id
from scripts.tokens.key_files import new_key, read_key_pair
from tests.support.polling import eventually
from tests.support.token_variants import REVOKED, Forgery, Keys
from tests.support.user_session import INSTANCE, LABELS, UserSession, url

COUNTER = re.compile(r'((?:cortex|loki)_request_duration_seconds_count\{method="[A-Z]+",route="(\w+)".*?\}) (\d+)')

# Routes of probes and of reading the counters.
OWN_ROUTES = re.compile(r"^(ready|metrics)$")
GATEWAY_METRICS = re.compile("otlp")  # which `system` receives at any time
SETTLING_SECONDS, SETTLED_TIMES = 0.2, 3


@dataclass(frozen=True)
class BackEnds:
    """The counters of HTTP requests in both tenants' back ends."""

    core: Any

    def seen(self, tenant: str = "default") -> int:
        """Return the number of requests to a tenant's back ends, without those of the instance itself."""
        return sum(self._of(program, port, tenant) for program, port in PORTS.items())

    def settled(self, tenant: str = "default") -> int:
        """Return the same number once it is stable: an interrupted request may be counted late."""
        counts = [self.seen(tenant)]
        while len(counts) < SETTLED_TIMES or len({*counts[-SETTLED_TIMES:]}) > 1:
            time.sleep(SETTLING_SECONDS)
            counts.append(self.seen(tenant))
        return counts[-1]

    def _of(self, program: str, port: int, tenant: str) -> int:
        text = self.core.connect_get_namespaced_pod_proxy_with_path(
            f"{program}-0:{port}", f"{tenant}-tenant", "metrics"
        )
        counters = COUNTER.findall(text)
        assert counters, f"{program} of {tenant} counts nothing"
        own = [OWN_ROUTES, *([GATEWAY_METRICS] if tenant == SYSTEM else [])]
        return sum(int(count) for _, route, count in counters if not any(one.search(route) for one in own))


@pytest.fixture(scope="package")
def back_ends(walk: UserSession) -> BackEnds:
    load: Any = kubernetes.config.new_client_from_config
    return BackEnds(kubernetes.client.CoreV1Api(load(walk.shell["KUBECONFIG"])))


@pytest.fixture(scope="package")
def keys(walk: UserSession, trusted_pair: str) -> Iterator[Keys]:
    """Key pairs: the instance trusts one, and another for logs of `default` alone; a token's id is revoked."""
    limited = walk.folder / "hostile-limited.pem"
    walk.opstrace("ta-create-keypair", str(limited))
    limits = ["--tenant", "default", "--scope", "logs:write,logs:read", "--no-apply"]
    walk.opstrace("ta-pubkeys-add", "local", INSTANCE, str(limited), *limits)
    walk.opstrace("ta-revoke-token", "local", INSTANCE, REVOKED, "--expires", "2099-01-01T00:00:00Z")
    keys = Keys(read_key_pair(Path(trusted_pair)), read_key_pair(limited), new_key())

    def in_force() -> bool:
        """Return whether both pods of the gateway have the keys; a request goes to one of them."""
        address, token = url("cortex", "default", LABELS), keys.token(Forgery(by="limited"))
        return all("does not cover" in walk.curl(address, token=token)[1] for _ in range(15))

    eventually(in_force, 90)
    yield keys
    walk.opstrace("ta-pubkeys-remove", "local", INSTANCE, key_id(keys.limited.public_key()), "--no-apply")
    file = walk.stack_file()
    file.set_revoked_tokens({})
    file.write()
    walk.pulumi("up", "--yes", "--skip-preview")
