"""The JSON schema of stack files (`stacks/opstrace.schema.json`), generated from the models."""

import json
from typing import Any

from components.config.base import Section
from components.config.stack import PREFIX, StackConfig, TenantStackSettings


def _config_schema(model: type[Section]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the schema of a stack file's `config:`, and the definitions that it refers to."""
    inner = model.model_json_schema(by_alias=True)
    schema = {
        "type": "object",
        "properties": {f"{PREFIX}{name}": part for name, part in inner["properties"].items()},
        "required": [f"{PREFIX}{name}" for name in inner["required"]],
        "patternProperties": {f"^(?!{PREFIX})": {}},
        "additionalProperties": False,
    }
    return schema, inner["$defs"]


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of the stack files of instances and of tenants with stacks of their own."""
    instance, definitions = _config_schema(StackConfig)
    tenant, more = _config_schema(TenantStackSettings)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Stack file of an Opstrace instance, or of one tenant",
        "type": "object",
        "properties": {
            "config": {
                "type": "object",
                "if": {"required": [f"{PREFIX}tenantOf"]},
                "then": tenant,
                "else": instance,
            }
        },
        "$defs": definitions | more,
    }


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2))
