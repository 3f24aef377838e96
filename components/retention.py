"""How long a back end keeps its tenant's data, as its ConfigMap says it."""

import json
import re
from collections.abc import Mapping
from typing import Any

RUNTIME_KEY = "runtime.yaml"


def retention_hours(inputs: Mapping[str, Any] | None, tenant: str) -> int | None:
    """Return the retention that a back end's ConfigMap gives a tenant, None where it says none."""
    text = ((inputs or {}).get("data") or {}).get(RUNTIME_KEY)
    overrides = json.loads(text).get("overrides", {}).get(tenant, {}) if text else {}
    for name, value in overrides.items():
        found = re.fullmatch(r"(\d+)h", str(value)) if name.endswith("retention_period") else None
        if found:
            return int(found[1])
    return None
