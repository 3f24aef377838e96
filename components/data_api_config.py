"""The settings of the tenants' APIs: who may reach them, with which keys and tokens (`opstrace:dataApi`)."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from components.access import TOKEN_ID_PATTERN, KeyLimits, Scope, key_limits_set
from components.data_api_limits import RatesConfig, TenantApiConfig, gateway_limits
from components.errors import KeyFileError
from components.gateway_limits import GatewayLimits, limits_bytes
from components.instants import instant
from components.keys import SECRET_BYTES, flat_key_set, key_id, public_key
from components.names import SYSTEM, tenant_name_problem
from components.section import Section, checked_ranges, limit_said, raise_all, without_doubles

LIMITS_BYTES = 900_000  # of all tenants together: they go to the gateway in one ConfigMap too
REVOKED_BYTES = 900_000  # of all ids together: they go to the gateway in one ConfigMap, which holds 1 MiB


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


def _checked_tenants(names: list[str]) -> list[str]:
    problems = [problem for name in names if name != SYSTEM and (problem := tenant_name_problem(name))]
    return raise_all(problems, without_doubles(names))


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

    _said = field_validator("tenants", "scopes", "not_after", mode="before")(limit_said)

    @field_validator("tenants")
    @classmethod
    def _names(cls, tenants: list[str]) -> list[str]:
        return _checked_tenants(tenants)

    @field_validator("scopes")
    @classmethod
    def _distinct(cls, scopes: list[Scope]) -> list[Scope]:
        without_doubles(list(scopes))
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
    rates: Annotated[RatesConfig, Field(description="How much each tenant may send.")] = RatesConfig()
    tenants: Annotated[
        dict[str, TenantApiConfig],
        Field(description="What is otherwise for single tenants, by their names; of stacks of their own too."),
    ] = {}
    legacy_push_errors: Annotated[
        bool,
        Field(description="Answer pushes that the back end failed with 409 instead of 5xx: clients drop the data."),
    ] = False

    _ranges = field_validator("allowed_cidrs")(checked_ranges)

    @field_validator("tenants")
    @classmethod
    def _named(cls, tenants: dict[str, TenantApiConfig]) -> dict[str, TenantApiConfig]:
        _checked_tenants(list(tenants))
        return tenants

    @field_validator("public_keys")
    @classmethod
    def _keys(cls, keys: dict[str, KeyConfig]) -> dict[str, KeyConfig]:
        raise_all([problem for kid, key in keys.items() if (problem := _key_problem(kid, key.pem))], keys)
        secrets = {
            "are": flat_key_set({kid: key.pem for kid, key in keys.items()}),
            "have limits that are": key_limits_set({kid: key.limits for kid, key in keys.items()}),
        }
        problems = [
            f"{len(keys)} keys {verb} {len(text)} bytes, but a Secrets Manager secret holds {SECRET_BYTES}; remove some"
            for verb, text in secrets.items()
            if len(text) > SECRET_BYTES
        ]
        return raise_all(problems, keys)

    @property
    def gateway_limits(self) -> GatewayLimits:
        """What the gateway lets through of each tenant."""
        return gateway_limits(self.rates, self.tenants)

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
    def _limits_fit(self) -> "DataApiConfig":
        size = limits_bytes(self.gateway_limits)
        if size > LIMITS_BYTES:
            raise ValueError(
                f"the limits of {len(self.tenants)} tenants are {size} bytes, but the gateway takes {LIMITS_BYTES}; give "
                "many tenants the same limits by dataApi.rates"
            )
        return self

    @model_validator(mode="after")
    def _someone_can_sign(self) -> "DataApiConfig":
        if self.authentication and "public_keys" not in self.model_fields_set:
            raise ValueError(
                "authentication is on, but publicKeys is not set: no token could be valid; `ta-pubkeys-add` adds a key, "
                "and an empty publicKeys means that nobody shall come in"
            )
        return self
