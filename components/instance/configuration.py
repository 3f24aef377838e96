"""The configuration of the program's stack, checked against what the engine's state records."""

from pathlib import Path

import pulumi

from components.config.load import TenantStack, from_engine
from components.config.recorded_name import require_recorded_name
from components.config.stack import StackConfig
from components.shared.recorded_outputs import named_by_tags, recorded_outputs, state_resources
from components.tenant.encryption import require_former_keys


async def configuration(folder: Path) -> StackConfig | TenantStack:
    """Return the configuration of the stack; `folder` has its file.

    Raises `ConfigError` with every problem, and where the stack was renamed since its last update, or lost a key of its data.
    After a first update that failed, an update is refused so, but no preview.
    """
    name, engine = pulumi.get_stack(), pulumi.runtime.config
    secrets = engine.get_config_secret_keys_env()
    config = from_engine(engine.get_config_env(), name, lambda file: (folder / file).read_text(), secrets)
    resources = await state_resources()
    recorded = recorded_outputs() or named_by_tags(resources)
    require_recorded_name(name, recorded, config if isinstance(config, TenantStack) else None)
    if isinstance(config, StackConfig):
        require_former_keys(config.aws.keys, resources)
    return config
