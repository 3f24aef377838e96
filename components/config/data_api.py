"""The settings of the tenants' APIs: who may reach them, with which keys and tokens (`opstrace:dataApi`)."""

from datetime import UTC, date, datetime, time
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from components.config.base import (
    NotNull,
    Section,
    checked_ranges,
    reject_empty,
    value_without_problems,
    without_duplicates,
)
from components.config.rates import AddressRatesConfig, RatesConfig, TenantApiConfig, gateway_limits
from components.core.errors import KeyFileError
from components.core.names import SYSTEM, tenant_name_problem
from components.core.public_keys import SECRET_BYTES, flat_key_set, key_id, public_key
from components.core.scopes import TOKEN_ID_PATTERN, KeyLimits, Scope, key_limits_set
from components.core.timestamps import instant_of_engine
from components.gateway.limits import GatewayLimits, limits_bytes

# The gateway gets the limits of all tenants in one ConfigMap and the revoked ids in another; each holds 1 MiB.
LIMITS_BYTES = 900_000
REVOKED_BYTES = 900_000


def _key_problem(kid: str, pem: str) -> str | None:
    try:
        real = key_id(public_key(pem))
    except KeyFileError as error:
        return f"key {kid}: {error}. `./opstrace ta-pubkeys-remove PROVIDER INSTANCE {kid}` takes it out of publicKeys"
    return None if real == kid else f"key {kid}: its PEM text has the key id {real}; write it under that id"


def _instant(value: Any) -> int:
    """Return the seconds since the epoch; a YAML reader may have made a date of the text, as the engine does."""
    if isinstance(value, date):
        at = value if isinstance(value, datetime) else datetime.combine(value, time())
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
    return instant_of_engine(str(value))


Instant = Annotated[int, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})]


def _checked_tenants(names: list[str]) -> list[str]:
    problems = [problem for name in names if name != SYSTEM and (problem := tenant_name_problem(name))]
    return value_without_problems(problems, without_duplicates(names))


class KeyConfig(Section):
    """A public key, and limits of the tokens that it signs."""

    pem: Annotated[str, Field(description="The public key in PEM form: RSA. A private key is refused.")]
    tenants: Annotated[
        list[str] | None,
        NotNull(),
        Field(description="Tenants for which the key may sign tokens, `system` included. Default: all.", min_length=1),
    ] = None
    scopes: Annotated[
        list[Scope] | None,
        NotNull(),
        Field(description="What the key's tokens may be used for. Default: all scopes.", min_length=1),
    ] = None
    not_after: Annotated[
        Instant | None,
        NotNull(),
        Field(
            description="Instant in RFC 3339, such as 2027-11-25T08:00:00Z, from which the key's tokens are refused. "
            "Default: never."
        ),
    ] = None

    _not_empty = field_validator("tenants", "scopes", "not_after", mode="before")(reject_empty)

    @field_validator("tenants")
    @classmethod
    def _names(cls, tenants: list[str]) -> list[str]:
        return _checked_tenants(tenants)

    @field_validator("scopes")
    @classmethod
    def _distinct(cls, scopes: list[Scope]) -> list[Scope]:
        without_duplicates(list(scopes))
        return scopes

    @property
    def limits(self) -> KeyLimits:
        """The limits alone, for the gateway and the trust store."""
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
    """The settings of the tenants' APIs at the load balancer and the gateway."""

    authentication: Annotated[
        bool,
        Field(
            description="Whether requests need a tenant API token. If false, everyone who reaches the load balancer reads and "
            "writes the data of every tenant."
        ),
    ] = True
    allowed_cidrs: Annotated[
        list[str],
        Field(
            description="IPv4 ranges in CIDR form from which the load balancer accepts connections.",
            min_length=1,
        ),
    ] = ["0.0.0.0/0"]
    public_keys: Annotated[
        dict[str, PublicKey],
        Field(
            description="Public keys whose tokens are accepted, by key id (kid): a PEM text, or `pem` with limits. "
            "`ta-pubkeys-add` writes them. A change is in force within minutes, without a restart."
        ),
    ] = {}
    revoked_tokens: Annotated[
        dict[Annotated[str, Field(pattern=TOKEN_ID_PATTERN)], Instant],
        Field(
            description="Revoked tokens: id (jti) to the end of the token's life, in RFC 3339. In place of the mapping, "
            "the name of a file beside the stack file that lists them. `ta-revoke-token` writes them."
        ),
    ] = {}
    rates: Annotated[RatesConfig, Field(description="How much each tenant may send. Default: no limit.")] = (
        RatesConfig()
    )
    rates_per_address: Annotated[
        AddressRatesConfig,
        Field(
            description="How much each client address may send, counted before any token is read. Default: no limit."
        ),
    ] = AddressRatesConfig()
    tenants: Annotated[
        dict[str, TenantApiConfig],
        Field(
            description="Exceptions for single tenants, by name. They also apply to tenants with stacks of their own."
        ),
    ] = {}
    legacy_push_errors: Annotated[
        bool,
        Field(
            description="Whether pushes that the back end answers with 500 to 599 are answered with 409, as the first "
            "Opstrace did. Clients drop the data then, instead of sending it again."
        ),
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
        value_without_problems([problem for kid, key in keys.items() if (problem := _key_problem(kid, key.pem))], keys)
        secrets = {
            "are": flat_key_set({kid: key.pem for kid, key in keys.items()}),
            "have limits that are": key_limits_set({kid: key.limits for kid, key in keys.items()}),
        }
        problems = [
            f"{len(keys)} keys {verb} {len(text)} bytes, but a Secrets Manager secret holds {SECRET_BYTES}; remove some"
            for verb, text in secrets.items()
            if len(text) > SECRET_BYTES
        ]
        return value_without_problems(problems, keys)

    @property
    def gateway_limits(self) -> GatewayLimits:
        """The limits of each tenant as the gateway takes them."""
        return gateway_limits(self.rates, self.tenants)

    @property
    def pems(self) -> dict[str, str]:
        """The keys alone: key id to PEM text."""
        return {kid: key.pem for kid, key in self.public_keys.items()}

    @property
    def limits(self) -> dict[str, KeyLimits]:
        """The limits of each key's tokens, by key id, for keys without limits too."""
        return {kid: key.limits for kid, key in self.public_keys.items()}

    @field_validator("revoked_tokens")
    @classmethod
    def _fits(cls, revoked: dict[str, int]) -> dict[str, int]:
        size = sum(len(token_id) + 1 for token_id in revoked)
        if size > REVOKED_BYTES:
            raise ValueError(
                f"{len(revoked)} ids are {size} bytes, but the gateway takes {REVOKED_BYTES}; remove the key that signed "
                "many of these tokens from publicKeys instead"
            )
        return revoked

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
                "authentication is on, but publicKeys is not set, so no token could be valid; `ta-pubkeys-add` adds a key. "
                "To admit nobody, set publicKeys to {}"
            )
        return self
