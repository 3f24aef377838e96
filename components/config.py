"""The stack's typed configuration: what may stand under `opstrace:` and what is refused.

All problems are found at once and before anything is declared. The JSON schema
beside the stacks (`stacks/opstrace.schema.json`) is made from these classes.
"""

import difflib
import ipaddress
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, Field, ValidationError, field_validator

from components.data_api_config import DataApiConfig
from components.errors import ConfigError
from components.names import DOMAIN_PATTERN, SYSTEM, instance_domain, instance_name_problem, tenant_name_problem
from components.section import Section, raise_all, without_doubles
from components.tenant_config import TenantConfig, TenantSettings

PREFIX = "opstrace:"
CERTIFICATE_NAME_LENGTH = 64  # AWS Certificate Manager user guide, 'Quotas': a domain name that is requested
SERVICES = ("acm", "autoscaling", "ec2", "elbv2", "iam", "route53", "s3", "secretsmanager", "sts")


class HostAlias(Section):
    """Host names that pods find at an address, whatever the cluster's DNS answers."""

    ip: Annotated[str, Field(description="The address, IPv4 or IPv6.")]
    hostnames: Annotated[list[str], Field(description="The names that lead to it.", min_length=1)]

    @field_validator("ip")
    @classmethod
    def _address(cls, ip: str) -> str:
        try:
            return str(ipaddress.ip_address(ip))
        except ValueError as error:
            raise ValueError(f"{ip!r} is no address such as 192.0.2.1") from error

    @field_validator("hostnames")
    @classmethod
    def _names(cls, names: list[str]) -> list[str]:
        wrong = [f"{name!r} is no DNS name in lower case" for name in names if not re.fullmatch(DOMAIN_PATTERN, name)]
        return raise_all(wrong, names)


class ClusterConfig(Section):
    """The Kubernetes cluster that the instance runs in."""

    context: Annotated[str | None, Field(description="Context of the kubeconfig; the current one unless set.")] = None
    storage_class: Annotated[
        str | None, Field(description="Storage class of write-ahead logs; the cluster's default one unless set.")
    ] = None
    oidc_provider_arn: Annotated[
        str, Field(description="ARN of the IAM identity provider of the cluster's service account tokens.")
    ]
    oidc_issuer: Annotated[
        str,
        Field(description="Issuer URL of the cluster's service account tokens.", pattern=r"^https://[^\s/]\S*[^\s/]$"),
    ]
    node_security_group_id: Annotated[
        str, Field(description="Security group of the nodes; it is opened to the load balancer.")
    ]
    enforces_network_policies: Annotated[
        bool | None,
        Field(description="Whether its network plugin enforces network policies; to be said for an Alertmanager."),
    ] = None
    host_aliases: Annotated[
        list[HostAlias], Field(description="Names that the back ends' pods find at other addresses than DNS says.")
    ] = []

    @field_validator("host_aliases")
    @classmethod
    def _distinct(cls, aliases: list[HostAlias]) -> list[HostAlias]:
        without_doubles([alias.ip for alias in aliases])  # Kubernetes takes one entry an address
        return aliases


class LoadBalancerConfig(Section):
    """The network load balancer in front of the gateway."""

    vpc_id: Annotated[str, Field(description="VPC of the cluster.")]
    subnet_ids: Annotated[list[str], Field(description="Subnets in which the load balancer listens.", min_length=1)]
    autoscaling_groups: Annotated[
        list[str], Field(description="Autoscaling groups whose nodes are the load balancer's targets.", min_length=1)
    ]

    @field_validator("autoscaling_groups")
    @classmethod
    def _distinct(cls, groups: list[str]) -> list[str]:
        return without_doubles(groups)

    node_port: Annotated[int, Field(description="Port of the gateway on every node.", ge=30000, le=32767)] = 30443
    port: Annotated[int, Field(description="Port of the tenants' APIs.", ge=1, le=65535)] = 443
    internal: Annotated[bool, Field(description="Whether the load balancer has private addresses only.")] = False


class AwsConfig(Section):
    """The AWS account that the instance uses."""

    region: Annotated[str, Field(description="Region of all that is created.", pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]
    parent_zone_id: Annotated[
        str | None,
        Field(
            description="Hosted zone of the domain, in which the instance's zone is delegated; unset: that is yours to do.",
            pattern=r"^Z[A-Z0-9]+$",
        ),
    ] = None
    endpoints: Annotated[
        dict[str, str], Field(description="Service (s3, sts, …) to a URL that is used in place of AWS's own.")
    ] = {}
    ca_bundle: Annotated[
        str | None,
        Field(description="Certificates in PEM form, the only ones that pods trust when they speak to AWS."),
    ] = None

    @field_validator("region")
    @classmethod
    def _partition(cls, region: str) -> str:
        if region.startswith(("cn-", "us-gov-")):
            raise ValueError(f"{region!r} is of another AWS partition, whose names are not supported")
        return region

    @field_validator("endpoints")
    @classmethod
    def _urls(cls, endpoints: dict[str, str]) -> dict[str, str]:
        unknown = [
            f"{name!r} is no service that is used; there are {', '.join(SERVICES)}"
            for name in endpoints
            if name not in SERVICES
        ]
        no_urls = [f"{url!r} is no URL" for url in endpoints.values() if not re.match(r"https?://\S", url)]
        return raise_all(unknown + no_urls, endpoints)


class StackConfig(Section):
    """Everything under `opstrace:` of a stack."""

    domain: Annotated[
        str,
        Field(
            description="DNS name below which the instance's own zone is made.",
            json_schema_extra={"pattern": DOMAIN_PATTERN},  # for editors; here the error says more
        ),
    ]
    tenants: Annotated[list[TenantConfig], Field(description="The tenants, at least one.", min_length=1)]
    tenant_defaults: Annotated[
        TenantSettings, Field(description="Settings of all tenants, `system` among them, where their own say nothing.")
    ] = TenantSettings()
    data_api: DataApiConfig
    cluster: ClusterConfig
    load_balancer: LoadBalancerConfig
    aws: AwsConfig
    tags: Annotated[dict[str, str], Field(description="Tags of everything that is created in AWS.")] = {}

    @field_validator("domain")
    @classmethod
    def _dns_name(cls, domain: str) -> str:
        if not re.fullmatch(DOMAIN_PATTERN, domain):
            raise ValueError(f"{domain!r} is no DNS name such as example.com, in lower case and without a final dot")
        return domain

    @field_validator("tenants")
    @classmethod
    def _distinct(cls, tenants: list[TenantConfig]) -> list[TenantConfig]:
        without_doubles([tenant.name for tenant in tenants])
        return tenants

    def settings_of(self, tenant: str) -> TenantSettings:
        """Return what `tenant` is set to, its own settings upon the defaults; `system` has the defaults."""
        own = next((entry for entry in self.tenants if entry.name == tenant), None)
        return own.upon(self.tenant_defaults) if own else self.tenant_defaults


def alertmanager_problem(tenant: str, settings: TenantSettings, cluster: ClusterConfig) -> str | None:
    """Return why `tenant` cannot have an Alertmanager in this cluster, None where it can or is to have none."""
    if not settings.alertmanager.enabled or cluster.enforces_network_policies is not None:
        return None
    return (
        f"the tenant {tenant} has alertmanager.enabled, and it is not known what holds that in: without network policies "
        "whoever writes its configuration reaches every pod. Say in opstrace:cluster.enforcesNetworkPolicies whether the "
        "cluster's network plugin enforces them (true or false)"
    )


class TenantStackSettings(Section):
    """Everything under `opstrace:` of a stack `<instance>.<tenant>`, which holds one tenant alone."""

    tenant_of: Annotated[str, Field(description="The instance, whose stack has that name.")]
    tenant: Annotated[
        TenantSettings, Field(description="The tenant's settings, upon the instance's tenantDefaults.")
    ] = TenantSettings()


@dataclass(frozen=True)
class TenantStack:
    """A tenant in a stack of its own; `settings` are its own, without the instance's defaults."""

    instance: str
    tenant: str
    settings: TenantSettings


def stack_name(instance: str, tenant: str) -> str:
    """Return the name of the stack of a tenant that has one of its own."""
    return f"{instance}.{tenant}"


def _model_in(annotation: Any) -> Any:
    """Return the model that an annotation speaks of, itself or as a part; None where there is none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _known_names(path: Sequence[int | str], model: Any) -> list[str]:
    """Return the names that may stand where `path` does, from `model` on."""
    parts = iter(path[:-1])
    for part in parts:
        if isinstance(part, int):
            continue
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        annotation = fields[part].annotation
        if get_origin(annotation) is dict:
            next(parts, None)  # the name of an entry, which is the user's own
        model = _model_in(annotation)
    return [field.alias or name for name, field in model.model_fields.items()]


def _described(error: Mapping[str, Any], model: type[Section] = StackConfig) -> str:
    path = tuple(part for part in error["loc"] if not str(part).startswith("["))  # a key, or a form among several
    where = PREFIX + ".".join(str(part) for part in path)
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(path[-1]), _known_names(path, model), 1)
        return f"{where}: there is no such setting" + (f"; did you mean {near[0]!r}?" if near else "; remove it")
    if error["type"] == "missing":
        return f"{where}: is required, but not set"
    message = str(error["msg"]).removeprefix("Value error, ")
    given = error.get("input")
    value = f" (given: {given!r})" if isinstance(given, (str, int, float, bool)) and repr(given) not in message else ""
    return f"{where}: {message}{value}"


Reader = Callable[[str], str]


def no_reader(name: str) -> str:
    """Stand for a reader where no file can be named."""
    raise OSError(f"no file is read here, {name} neither")


def from_settings(settings: Mapping[str, Any], instance: str, read: Reader = no_reader) -> StackConfig:
    """Return the configuration of the stack `instance` from its `opstrace:` settings, without that prefix.

    `read` returns the text of a file beside the stack's. Raises `ConfigError` with every problem, one a line.
    """
    problems = [problem] if (problem := instance_name_problem(instance)) else []
    config = None
    try:
        config = StackConfig.model_validate(_with_file(settings, read))
    except ConfigError as error:
        problems.append(str(error))
    except ValidationError as error:
        problems += [_described(entry) for entry in error.errors()]
    if config:
        problems += _long_names(config, instance)
        names = (SYSTEM, *(tenant.name for tenant in config.tenants))
        found = (alertmanager_problem(name, config.settings_of(name), config.cluster) for name in names)
        problems += [problem for problem in found if problem]
    if problems or config is None:
        raise _refused(problems, instance)
    return config


def _refused(problems: list[str], stack: str) -> ConfigError:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return ConfigError(f"{count} in the configuration of stack {stack}:\n  - " + "\n  - ".join(problems))


def tenant_stack(settings: Mapping[str, Any], stack: str) -> TenantStack:
    """Return the configuration of a stack with one tenant alone, from its `opstrace:` settings, without that prefix.

    Raises `ConfigError` with every problem, one a line.
    """
    try:
        found = TenantStackSettings.model_validate(dict(settings))
    except ValidationError as error:
        raise _refused([_described(entry, TenantStackSettings) for entry in error.errors()], stack) from None
    instance, _, tenant = stack.partition(".")
    problems = [problem] if (problem := tenant_name_problem(tenant)) else []
    if instance != found.tenant_of:
        problems.append(
            f"{PREFIX}tenantOf: is {found.tenant_of!r}, but a tenant's stack is named after its instance: "
            f"{stack_name(found.tenant_of, 'TENANT')}"
        )
    if problems:
        raise _refused(problems, stack)
    return TenantStack(instance, tenant, found.tenant)


def _with_file(settings: Mapping[str, Any], read: Reader) -> dict[str, Any]:
    """Return the settings with the list of revoked tokens in them, if a file holds it."""
    api = settings.get("dataApi")
    if not isinstance(api, Mapping) or not isinstance(name := api.get("revokedTokens"), str):
        return dict(settings)
    where = f"{PREFIX}dataApi.revokedTokens"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ConfigError(f"{where}: {name!r} is no name of a file in the stack file's own folder")
    try:
        entries = [line.split() for line in read(name).splitlines() if line.strip() and not line.startswith("#")]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}: the file {name!r} cannot be read: {error}") from error
    odd = [" ".join(entry) for entry in entries if len(entry) != 2]
    twice = len(entries) - len({entry[0] for entry in entries})
    if odd or twice:
        reason = f"a line holds an id and an end, but one is {odd[0]!r}" if odd else f"{twice} ids stand there twice"
        raise ConfigError(f"{where}: the file {name!r}: {reason}")
    return {**settings, "dataApi": {**api, "revokedTokens": dict(entries)}}


def _long_names(config: StackConfig, instance: str) -> list[str]:
    """Return what is too long for a certificate, which no setting alone can tell."""
    domain = instance_domain(instance, config.domain)
    names = [domain, *(f"{tenant}.{domain}" for tenant in (SYSTEM, *(tenant.name for tenant in config.tenants)))]
    return [
        f"{name} is {len(name)} characters, but ACM gives certificates to {CERTIFICATE_NAME_LENGTH} at most; "
        "choose a shorter domain, instance or tenant name"
        for name in names
        if len(name) > CERTIFICATE_NAME_LENGTH
    ]


def from_engine(texts: Mapping[str, str], stack: str, read: Reader = no_reader) -> StackConfig | TenantStack:
    """Return the configuration from what the engine hands to a program: full keys to text, objects as JSON.

    `tenantOf` tells a stack with one tenant alone from an instance's.

    `read` as of `from_settings`.
    """
    settings: dict[str, Any] = {}
    for key, text in texts.items():
        if key.startswith(PREFIX):
            name = key.removeprefix(PREFIX)
            settings[name] = text if name in ("domain", "tenantOf") else _decoded(text)
    return tenant_stack(settings, stack) if "tenantOf" in settings else from_settings(settings, stack, read)


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


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
    """Return the JSON schema of a stack file (`stacks/Pulumi.<instance>.yaml`, `stacks/Pulumi.<instance>.<tenant>.yaml`)."""
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
