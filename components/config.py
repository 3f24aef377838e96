"""The stack's typed configuration: what may stand under `opstrace:` and what is refused.

All problems are found at once and before anything is declared. The JSON schema
beside the stacks (`stacks/opstrace.schema.json`) is made from these classes.
"""

import difflib
import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import SkipJsonSchema

from components.access import TOKEN_ID_PATTERN, KeyLimits, Scope, key_limits_set
from components.errors import ConfigError, KeyFileError
from components.instants import instant
from components.keys import SECRET_BYTES, flat_key_set, key_id, public_key
from components.names import (
    DOMAIN_PATTERN,
    SYSTEM,
    doubles,
    instance_domain,
    instance_name_problem,
    tenant_name_problem,
)

PREFIX = "opstrace:"
T = TypeVar("T")
REVOKED_BYTES = 900_000  # of all ids together: they go to the gateway in one ConfigMap, which holds 1 MiB
CERTIFICATE_NAME_LENGTH = 64  # AWS Certificate Manager user guide, 'Quotas': a domain name that is requested
SERVICES = ("acm", "autoscaling", "ec2", "elbv2", "iam", "route53", "s3", "secretsmanager", "sts")


class Section(BaseModel):
    """What all parts of the configuration share: camelCase names, no unknown ones, no changes after reading."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)


def _raise_all(problems: list[str], value: T) -> T:
    """Return `value`; raises `ValueError` with all problems, if any."""
    if problems:
        raise ValueError("; ".join(problems))
    return value


def _without_doubles(names: list[str]) -> list[str]:
    twice = doubles(names)
    return _raise_all([f"given more than once: {', '.join(twice)}"] if twice else [], names)


def _range_problem(text: str) -> str | None:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        return f"{text!r} is no IPv4 range such as 203.0.113.0/24: {error}"
    return None if str(network) == text else f"{text!r} must be written {str(network)!r}, as AWS wants it"


def _key_problem(kid: str, pem: str) -> str | None:
    try:
        real = key_id(public_key(pem))
    except KeyFileError as error:
        return f"key {kid}: {error}"
    return None if real == kid else f"key {kid}: its PEM text has the key id {real}; write it under that id"


def _instant(value: Any) -> int:
    """Return an instant's seconds since the epoch; a YAML reader may have made a date of the text already."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return int(value.timestamp())
    return instant(value if isinstance(value, str) else str(value))


Instant = Annotated[int, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})]


class TenantConfig(Section):
    """One tenant of the instance."""

    name: Annotated[str, Field(description="1 to 30 characters of a-z and 0-9; part of the tenant's host names.")]

    @field_validator("name")
    @classmethod
    def _valid(cls, name: str) -> str:
        problem = tenant_name_problem(name)
        if problem:
            raise ValueError(problem)
        return name


def _checked_tenants(names: list[str]) -> list[str]:
    problems = [problem for name in names if name != SYSTEM and (problem := tenant_name_problem(name))]
    return _raise_all(problems, _without_doubles(names))


class KeyConfig(Section):
    """A public key, and what the tokens that it signs may be for."""

    pem: Annotated[str, Field(description="The key in PEM form.")]
    tenants: Annotated[
        list[str] | SkipJsonSchema[None],
        Field(description="The tenants that it may sign tokens for; all unless set.", min_length=1),
    ] = None
    scopes: Annotated[
        list[Scope] | SkipJsonSchema[None],
        Field(description="What its tokens may be for; everything unless set.", min_length=1),
    ] = None
    not_after: Annotated[
        Instant | SkipJsonSchema[None],
        Field(description="From when on its tokens are refused, in RFC 3339; never unless set."),
    ] = None

    @field_validator("tenants", "scopes", "not_after", mode="before")
    @classmethod
    def _said(cls, value: Any) -> Any:
        if value is None:  # a line whose value was deleted must not open what it closed
            raise ValueError("is empty; give it a value, or remove the line: then there is no such limit")
        return value

    @field_validator("tenants")
    @classmethod
    def _names(cls, tenants: list[str]) -> list[str]:
        return _checked_tenants(tenants)

    @field_validator("scopes")
    @classmethod
    def _distinct(cls, scopes: list[Scope]) -> list[Scope]:
        _without_doubles(list(scopes))
        return scopes

    @property
    def limits(self) -> KeyLimits:
        """The limits alone, as the gateway and the trust store take them."""
        return KeyLimits(
            None if self.tenants is None else tuple(self.tenants),
            None if self.scopes is None else tuple(self.scopes),
            self.not_after,
        )


PublicKey = Annotated[
    KeyConfig,
    BeforeValidator(
        lambda value: {"pem": value} if isinstance(value, str) else value, json_schema_input_type=str | KeyConfig
    ),
]


class DataApiConfig(Section):
    """Who may reach the tenants' APIs, and which keys sign the tokens that they show."""

    authentication: Annotated[
        bool, Field(description="Whether requests must show a tenant API token. False lets everybody in.")
    ] = True
    allowed_cidrs: Annotated[
        list[str], Field(description="IPv4 ranges from which the load balancer takes connections.", min_length=1)
    ] = ["0.0.0.0/0"]
    public_keys: Annotated[
        dict[str, PublicKey],
        Field(description="Key id (kid) to public key: PEM, or PEM and limits. `ta-pubkeys-add` writes them."),
    ] = {}
    revoked_tokens: Annotated[
        dict[Annotated[str, Field(pattern=TOKEN_ID_PATTERN)], Instant],
        Field(
            description="Id (jti) of a token that is refused, to its end, in RFC 3339. `ta-revoke-token` writes them."
        ),
    ] = {}
    legacy_push_errors: Annotated[
        bool,
        Field(description="Answer pushes that the back end failed with 409 instead of 5xx: clients drop the data."),
    ] = False

    @field_validator("allowed_cidrs")
    @classmethod
    def _ranges(cls, ranges: list[str]) -> list[str]:
        problems = [problem for entry in ranges if (problem := _range_problem(entry))]
        return _raise_all(problems, _without_doubles(ranges))

    @field_validator("public_keys")
    @classmethod
    def _keys(cls, keys: dict[str, KeyConfig]) -> dict[str, KeyConfig]:
        _raise_all([problem for kid, key in keys.items() if (problem := _key_problem(kid, key.pem))], keys)
        secrets = {
            "are": flat_key_set({kid: key.pem for kid, key in keys.items()}),
            "have limits that are": key_limits_set({kid: key.limits for kid, key in keys.items()}),
        }
        problems = [
            f"{len(keys)} keys {verb} {len(text)} bytes, but a Secrets Manager secret holds {SECRET_BYTES}; remove some"
            for verb, text in secrets.items()
            if len(text) > SECRET_BYTES
        ]
        return _raise_all(problems, keys)

    @property
    def pems(self) -> dict[str, str]:
        """The keys alone: key id to PEM text."""
        return {kid: key.pem for kid, key in self.public_keys.items()}

    @property
    def limits(self) -> dict[str, KeyLimits]:
        """What each key's tokens may be for, by key id; keys without limits too."""
        return {kid: key.limits for kid, key in self.public_keys.items()}

    @field_validator("revoked_tokens")
    @classmethod
    def _fits(cls, listed: dict[str, int]) -> dict[str, int]:
        size = sum(len(token_id) + 1 for token_id in listed)
        if size > REVOKED_BYTES:
            raise ValueError(
                f"{len(listed)} ids are {size} bytes, but the gateway takes {REVOKED_BYTES}; take the key of many of these "
                "tokens out of publicKeys instead"
            )
        return listed

    @model_validator(mode="after")
    def _someone_can_sign(self) -> "DataApiConfig":
        if self.authentication and "public_keys" not in self.model_fields_set:
            raise ValueError(
                "authentication is on, but publicKeys is not set: no token could be valid; `ta-pubkeys-add` adds a key, "
                "and an empty publicKeys means that nobody shall come in"
            )
        return self


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
        return _without_doubles(groups)

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
        return _raise_all(unknown + no_urls, endpoints)


class StackConfig(Section):
    """Everything under `opstrace:` of a stack."""

    domain: Annotated[str, Field(description="DNS name below which the instance's own zone is made.")]
    tenants: Annotated[list[TenantConfig], Field(description="The tenants, at least one.", min_length=1)]
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
        _without_doubles([tenant.name for tenant in tenants])
        return tenants


def _known_names(path: tuple[int | str, ...]) -> list[str]:
    """Return the names that may stand where `path` does."""
    model: Any = StackConfig
    parts = iter(path[:-1])
    for part in parts:
        if isinstance(part, int):
            continue
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        model = fields[part].annotation
        if get_origin(model) is dict:
            next(parts, None)  # the name of an entry, which is the user's own
        model = get_args(model)[-1] if get_args(model) else model
        model = get_args(model)[0] if get_origin(model) is Annotated else model
    return [field.alias or name for name, field in model.model_fields.items()]


def _described(error: Mapping[str, Any]) -> str:
    path = tuple(part for part in error["loc"] if part != "[key]")
    where = PREFIX + ".".join(str(part) for part in path)
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(path[-1]), _known_names(path), 1)
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
    if problems or config is None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise ConfigError(f"{count} in the configuration of stack {instance}:\n  - " + "\n  - ".join(problems))
    return config


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


def from_engine(texts: Mapping[str, str], instance: str, read: Reader = no_reader) -> StackConfig:
    """Return the configuration from what the engine hands to a program: full keys to text, objects as JSON.

    `read` as of `from_settings`.
    """
    settings: dict[str, Any] = {}
    for key, text in texts.items():
        if key.startswith(PREFIX):
            name = key.removeprefix(PREFIX)
            settings[name] = text if name == "domain" else _decoded(text)
    return from_settings(settings, instance, read)


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a stack file (`stacks/Pulumi.<instance>.yaml`)."""
    inner = StackConfig.model_json_schema(by_alias=True)
    definitions = inner.pop("$defs")
    properties = {f"{PREFIX}{name}": schema for name, schema in inner["properties"].items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Stack file of an Opstrace instance",
        "type": "object",
        "properties": {
            "config": {
                "type": "object",
                "properties": properties,
                "required": [f"{PREFIX}{name}" for name in inner["required"]],
                "patternProperties": {f"^(?!{PREFIX})": {}},
                "additionalProperties": False,
            }
        },
        "$defs": definitions,
    }


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2))
