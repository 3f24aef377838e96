"""Loading a stack's configuration, from the engine or a stack file, with every problem in one error."""

import copy
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from components.config.base import LARGEST_EXACT
from components.config.engine_values import engine_value, problems_in
from components.config.platform.aws import boundary_problem
from components.config.platform.kms_keys import region_problems
from components.config.problems import described
from components.config.stack import (
    CERTIFICATE_NAME_LENGTH,
    PREFIX,
    StackConfig,
    TenantStackSettings,
    alertmanager_problem,
    cluster_name_problem,
    context_problem,
    policies_problem,
    stack_name,
)
from components.config.tenant import TenantSettings
from components.core.errors import ConfigError
from components.core.names import SYSTEM, account_of, instance_domain, instance_name_problem, tenant_name_problem

Model = TypeVar("Model", bound=BaseModel)
Reader = Callable[[str], str]
"""Returns the text of a file beside the stack file, by its name."""

FILE_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"


@dataclass(frozen=True, kw_only=True)
class TenantStack:
    """A tenant in a stack of its own; `settings` are the tenant's own, without the instance's defaults."""

    instance: str
    tenant: str
    settings: TenantSettings


def no_reader(name: str) -> str:
    """Stand for a reader where a configuration cannot name files."""
    raise OSError(f"this configuration has no folder for the file {name}")


def from_settings(settings: Mapping[str, Any], instance: str, read: Reader = no_reader) -> StackConfig:
    """Return the configuration of the stack `instance` from its `opstrace:` settings, without that prefix.

    Raises:
        ConfigError: the text has every problem, one a line.
    """
    problems = [problem] if (problem := instance_name_problem(instance)) else []
    config = None
    try:
        config = _validated(StackConfig, _with_revoked_tokens(settings, read))
    except ConfigError as error:
        problems.append(str(error))
    except ValidationError as error:
        problems += [described(entry, StackConfig, settings) for entry in error.errors()]
    if config:
        if config.name not in (None, instance):
            was = renamed(instance, str(config.name), instance)
            problems.append(f"{PREFIX}name: {was}; for a new instance, write its own name")
        problems += _long_names(config, instance)
        account = account_of(config.cluster.oidc_provider_arn)
        boundary = boundary_problem(config.aws, account)
        keys = region_problems(config.aws.keys, config.aws.region)
        candidates = (cluster_name_problem(config), boundary, *keys, *_tenant_problems(config))
        problems += [problem for problem in candidates if problem]
    if problems or config is None:
        raise refused(problems, instance)
    return config


def _validated(model: type[Model], settings: dict[str, Any]) -> Model:
    """Return the settings as `model` has them; a whole number is a text where a text is wanted.

    Other numbers are refused there: the text `1.10` would become `1.1`, and the engine rounds larger whole numbers. Only a
    quantity may be a number with a fraction (`Quantity`).
    """
    try:
        return model.model_validate(settings)
    except ValidationError as error:
        wanted = [entry for entry in error.errors() if entry["type"] == "string_type"]
        numbers = [entry for entry in wanted if type(entry["input"]) is int and abs(entry["input"]) < LARGEST_EXACT]
        if not numbers:
            raise
    changed = copy.deepcopy(settings)
    for entry in numbers:
        _write_as_text(changed, entry["loc"], entry["input"])
    return model.model_validate(changed)


def _write_as_text(settings: Any, location: Sequence[int | str], number: int) -> None:
    """Replace a number by its text. Pydantic's location also names members of unions, which are no keys."""
    parent: Any = None
    value, name = settings, location[0]
    for part in location:
        names = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        if part in names:
            parent, name = value, part
            value = parent[name]
    if parent is not None and value == number:
        parent[name] = str(number)


def wants_text(names: Sequence[str], value: Any) -> bool:
    """Tell whether a setting of a tenant wants a text, but `value` is none; `names` are the setting's path."""
    value = 0 if isinstance(value, float) else value  # a quantity takes one, but is a text
    for name in reversed(names):
        value = {name: value}
    try:
        TenantSettings.model_validate(value)
    except ValidationError as error:
        return any(entry["type"] == "string_type" for entry in error.errors())
    return False


def refused(problems: list[str], stack: str) -> ConfigError:
    """Return the one error of all problems of a stack's configuration."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return ConfigError(f"{count} in the configuration of stack {stack}:\n  - " + "\n  - ".join(problems))


def tenant_stack(settings: Mapping[str, Any], stack: str) -> TenantStack:
    """Return the configuration of a stack with one tenant alone, from its `opstrace:` settings, without that prefix.

    Raises:
        ConfigError: the text has every problem, one a line.
    """
    try:
        own = _validated(TenantStackSettings, dict(settings))
    except ValidationError as error:
        raise refused([described(entry, TenantStackSettings, settings) for entry in error.errors()], stack) from None
    instance, _, tenant = stack.partition(".")
    problems = [problem] if (problem := tenant_name_problem(tenant)) else []
    if instance != own.tenant_of:
        problems.append(
            f"{PREFIX}tenantOf: is {own.tenant_of!r}, but a tenant's stack is named after its instance: "
            f"{stack_name(own.tenant_of, 'TENANT')}; correct tenantOf, or undo a new name of the stack "
            f"with `pulumi stack rename {stack_name(own.tenant_of, tenant)} --stack {stack}`"
        )
    elif own.name not in (None, tenant):
        was = stack_name(instance, str(own.name))
        problems.append(f"{PREFIX}name: {renamed(stack, was, tenant)}; for a new tenant, write its own name")
    if problems:
        raise refused(problems, stack)
    return TenantStack(instance=instance, tenant=tenant, settings=own.tenant)


def renamed(stack: str, was: str, name: str) -> str:
    """Return why a stack with a new name is refused, and the remedy; `name` is the instance or tenant that it stands for."""
    return (
        f"this is the stack of {was}, but it is named {stack}. Zone, buckets, roles and secrets are named after it, so an "
        f"update would replace them as those of {name}, delete the data and end all tokens; undo the change with "
        f"`pulumi stack rename {was} --stack {stack}`"
    )


def _tenant_problems(config: StackConfig) -> Iterator[str | None]:
    """Yield for each tenant a problem that shows only in its settings with the defaults in them, None if there is none."""
    for tenant in (SYSTEM, *(entry.name for entry in config.tenants)):
        try:
            settings = config.settings_of(tenant)
        except ConfigError as error:
            yield f"the tenant {tenant}: {error}"
        else:
            # On AWS, an update requires the setting in any case.
            yield None if policies_problem(config) else alertmanager_problem(tenant, settings, config.cluster)


def _with_revoked_tokens(settings: Mapping[str, Any], read: Reader) -> dict[str, Any]:
    """Return the settings with the revoked tokens in place of the file that lists them, if they name one."""
    api = settings.get("dataApi")
    if not isinstance(api, Mapping) or not isinstance(name := api.get("revokedTokens"), str):
        return dict(settings)
    where = f"{PREFIX}dataApi.revokedTokens"
    if not re.fullmatch(FILE_NAME, name):
        raise ConfigError(f"{where}: {name!r} is not the name of a file; name one in the folder of the stack file")
    try:
        lines = [line.split() for line in read(name).splitlines() if line.strip() and not line.startswith("#")]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}: the file {name!r} cannot be read: {error}") from error
    odd = [" ".join(line) for line in lines if len(line) != len(("id", "end"))]
    if odd:
        raise ConfigError(f"{where}: the file {name!r}: a line holds an id and an end, but one is {odd[0]!r}")
    revoked = dict(lines)
    if len(revoked) < len(lines):
        raise ConfigError(
            f"{where}: the file {name!r} lists {len(lines) - len(revoked)} ids twice; remove one line of each"
        )
    return {**settings, "dataApi": {**api, "revokedTokens": revoked}}


def _long_names(config: StackConfig, instance: str) -> list[str]:
    """Return a problem for each name that is too long for a certificate. The name contains domain, instance and tenant."""
    domain = instance_domain(instance, config.domain)
    names = [domain, *(f"{tenant}.{domain}" for tenant in (SYSTEM, *(tenant.name for tenant in config.tenants)))]
    return [
        f"{name} has {len(name)} characters, but ACM gives certificates to {CERTIFICATE_NAME_LENGTH} at most; "
        "choose a shorter domain, instance or tenant name"
        for name in names
        if len(name) > CERTIFICATE_NAME_LENGTH
    ]


def from_engine(
    texts: Mapping[str, str], stack: str, read: Reader = no_reader, secrets: Collection[str] = ()
) -> StackConfig | TenantStack:
    """Return the configuration from the engine's settings for a program: full keys to text, objects as JSON.

    A stack with `tenantOf` holds one tenant alone. `secrets` are the full keys that have encrypted values.

    Raises:
        ConfigError: the text has every problem, one a line.
    """
    try:
        text = read(f"Pulumi.{stack}.yaml")
    except (OSError, UnicodeDecodeError):  # `--config-file` names another file
        text = ""
    problems = problems_in(text, secrets)
    if problems:
        raise refused(problems, stack)
    names = {key: key.removeprefix(PREFIX) for key in texts if key.startswith(PREFIX)}
    settings = {name: engine_value(name, texts[key]) for key, name in names.items()}
    if "tenantOf" in settings:
        return tenant_stack(settings, stack)
    config = from_settings(settings, stack, read)
    require_update_settings(config, stack)
    return config


def require_update_settings(config: StackConfig, stack: str) -> None:
    """Raise `ConfigError` where an update must know which cluster it changes, and whether that enforces network policies.

    Only updates need these settings: without them, you can edit the stack file and read what an instance has.
    """
    if problems := [
        problem for problem in (context_problem(config.aws, config.cluster), policies_problem(config)) if problem
    ]:
        raise refused(problems, stack)
