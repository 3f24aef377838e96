"""The defaults in the descriptions of the limits are those of the real Cortex and Loki."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from ruamel.yaml import YAML

from components.config.backend_limits import Limits, LogsLimits, MetricsLimits
from components.tenant.back_ends.cortex import OWN_DEFAULTS
from tests.support.backend import Backend

UNITS = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1, "B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30}


def _number(text: str) -> float | str:
    """Return a number, duration or size such as `1h30m` as a number of its smallest unit; other texts unchanged."""
    text = {"True": "true", "False": "false"}.get(text, text)
    if not re.fullmatch(r"([0-9.]+([wdhms]|[KMG]?B)?)+", text):
        return text
    return sum(float(count) * UNITS.get(unit, 1) for count, unit in re.findall(r"([0-9.]+)([wdhms]|[KMG]?B)?", text))


@pytest.mark.parametrize(
    ("program", "model", "block"),
    [("cortex", MetricsLimits, "limits"), ("loki", LogsLimits, "limits_config")],
)
def test_a_limit_s_description_states_the_default_of_its_back_end(
    program: str, model: type[Limits], block: str, backend: Callable[[str, dict[str, Any]], Backend]
) -> None:
    running = backend(program, {})
    running.start()
    status, text = running.ask("GET", "/config")
    assert status == 200
    defaults = YAML(typ="safe").load(text)[block]
    described = {
        name: re.findall(r"Default: `?(.+?)`?\.$", str(field.description)) for name, field in model.model_fields.items()
    }
    assert [name for name, texts in described.items() if len(texts) != 1] == []
    # Opstrace sets defaults of its own for these: tests/unit/components/config/test_stack.py compares them.
    compared = described.keys() - OWN_DEFAULTS.keys()
    assert len(compared) > 20
    wrong = {
        name: (described[name], defaults[name])
        for name in compared
        if _number(described[name][0]) != _number(str(defaults[name]))
    }
    assert wrong == {}
