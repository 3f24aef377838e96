"""The retention of a back end's data, read from its ConfigMap."""

import json
import re
from collections.abc import Mapping
from typing import Any

RUNTIME_KEY = "runtime.yaml"


def retention_hours(inputs: Mapping[str, Any] | None, tenant: str) -> int | None:
    """Return the retention in hours that a back end's ConfigMap sets for a tenant, None where it sets none."""
    text = ((inputs or {}).get("data") or {}).get(RUNTIME_KEY)
    overrides = json.loads(text).get("overrides", {}).get(tenant, {}) if text else {}
    for name, value in overrides.items():
        match = re.fullmatch(r"(\d+)h", str(value)) if name.endswith("retention_period") else None
        if match:
            return int(match[1])
    return None
