"""The size of the settings, which the engine passes to the program in one environment variable."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.config.stack import PREFIX
from components.core.errors import ConfigError

ENVIRONMENT_BYTES = 131_072  # Linux's MAX_ARG_STRLEN, with the variable's name and the final zero byte


def check_size(path: Path, settings: Mapping[str, Any]) -> None:
    """Raise `ConfigError` if the settings are too large for one environment variable."""
    texts = {
        PREFIX + name: value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), default=str)
        for name, value in settings.items()
    }
    size = len(f"PULUMI_CONFIG={json.dumps(texts, separators=(',', ':'))}") + 1
    if size > ENVIRONMENT_BYTES:
        raise ConfigError(
            f"{path}: the settings are {size} bytes as the engine passes them to the program in one environment "
            f"variable, but Linux allows {ENVIRONMENT_BYTES}. Remove settings that you do not need, such as old public keys"
        )
