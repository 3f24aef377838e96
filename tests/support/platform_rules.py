"""The platform's rules without their waits, and a system tenant that evaluates them."""

import json
from typing import Any

from components.collectors.rules.file import RUNBOOKS, groups
from components.config.base import merged
from components.core.names import SYSTEM
from tests.support.backend import SHORT_WAITS, Backend
from tests.support.s3_server import SYSTEM_BUCKET

STANDS_STILL = 15  # seconds without a success of a compactor, which runs every 2 seconds in tests
OLD = 8  # seconds after which a line in a collector's queue is old


def impatient_rules(seconds: int, stands_still: int = STANDS_STILL, old: int = OLD) -> str:
    """Return the platform's rule file with the same expressions, evaluated every few seconds, and without waits."""
    file: dict[str, Any] = {"groups": [group.as_group(RUNBOOKS) for group in groups({}, stands_still, old)]}
    for group in file["groups"]:
        group["interval"] = f"{seconds}s"
        group["rules"] = [rule | ({"for": "0s"} if "alert" in rule else {}) for rule in group["rules"]]
    return json.dumps(file)


class SystemCortex(Backend):
    """The Cortex of the system tenant, with the platform's rules. Its blocks have a bucket of their own."""

    changes = {"cortex": merged(SHORT_WAITS["cortex"], {"blocks_storage": {"s3": {"bucket_name": SYSTEM_BUCKET}}})}
    tenant = SYSTEM
    rules = impatient_rules(1)

    def returns(self, query: str) -> bool:
        """Tell whether a query gives series."""
        status, text = self.ask("GET", "/prometheus/api/v1/query", fields={"query": query})
        return status == 200 and bool(json.loads(text)["data"]["result"])

    def firing(self, label: str) -> set[tuple[str, str]]:
        """Return the names of the alerts that fire, each with the value of a label, '' without it."""
        status, text = self.ask("GET", "/prometheus/api/v1/alerts")
        found = json.loads(text)["data"]["alerts"] if status == 200 else []
        firing = (alert["labels"] for alert in found if alert["state"] == "firing")
        return {(labels["alertname"], labels.get(label, "")) for labels in firing}
