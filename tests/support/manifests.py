"""Objects of Kubernetes that a test makes in a cluster."""

import json
from collections.abc import Mapping
from typing import Any

from tests.support.shell import run


def apply(environment: dict[str, str], *objects: Mapping[str, Any]) -> None:
    """Create or change objects in the cluster of an environment."""
    whole = {"apiVersion": "v1", "kind": "List", "items": objects}
    run("kubectl", "apply", "-f", "-", env=environment, typed=json.dumps(whole))
