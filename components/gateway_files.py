"""The files that Envoy watches: filters of the gateway that change while it runs, without a restart (ECDS).

Until a file was read once, requests get 500; a file that is refused changes nothing.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from components import gateway_lua
from components.access import KeyLimits
from components.gateway_limits import GatewayLimits, limits_configs
from components.keys import TOKEN_ISSUER, json_web_key_set
from components.names import token_audience

HTTP = "type.googleapis.com/envoy.extensions.filters.http"
LUA_TYPE = f"{HTTP}.lua.v3.Lua"


@dataclass(frozen=True)
class WatchedFile:
    """One filter's file. `part` names the ConfigMap that it comes with, `gateway-<part>`, and its folder in the pod."""

    filter: str
    part: str
    file: str
    type_url: str

    @property
    def folder(self) -> str:
        """Where the ConfigMap is mounted."""
        return f"/etc/envoy-{self.part}"

    def declaration(self) -> dict[str, Any]:
        """Return the filter as it stands in the configuration that Envoy starts with."""
        source = {"path": f"{self.folder}/{self.file}", "watched_directory": {"path": self.folder}}
        config = {"path_config_source": source, "initial_fetch_timeout": "5s"}
        return {"name": self.filter, "config_discovery": {"config_source": config, "type_urls": [self.type_url]}}

    def content(self, config: Mapping[str, Any]) -> str:
        """Return the file with a configuration of the filter, as JSON; `filter_in` reads it."""
        resource = {
            "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            "name": self.filter,
            "typed_config": {"@type": self.type_url, **config},
        }
        return json.dumps({"resources": [resource]}, separators=(",", ":"))


TOKEN = WatchedFile("token", "keys", "jwt.json", f"{HTTP}.jwt_authn.v3.JwtAuthentication")
ACCESS = WatchedFile("access", "access", "access.json", LUA_TYPE)
RATES = WatchedFile("rates", "limits", "rates.json", f"{HTTP}.local_ratelimit.v3.LocalRateLimit")
CONNECTIONS = WatchedFile("connections", "limits", "connections.json", RATES.type_url)
ADDRESSES = WatchedFile("addresses", "limits", "addresses.json", f"{HTTP}.rbac.v3.RBAC")
WATCHED = (TOKEN, ACCESS, RATES, CONNECTIONS, ADDRESSES)


def limits_files(limits: GatewayLimits, pods: int) -> dict[WatchedFile, str]:
    """Return the files from which Envoy takes the limits, where there are so many pods of the gateway."""
    configs = limits_configs(limits, pods)
    return {watched: watched.content(configs[watched.filter]) for watched in (RATES, CONNECTIONS, ADDRESSES)}


def filter_in(file: str) -> tuple[str, dict[str, Any]]:
    """Return name and configuration of the filter in a file that Envoy watches."""
    resource = json.loads(file)["resources"][0]
    return resource["name"], resource["typed_config"]


def keys_in(token: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the keys (RFC 7517) in a configuration of `TOKEN`."""
    return list(json.loads(token["providers"]["tenant"]["local_jwks"]["inline_string"])["keys"])


def key_ids_in(access: Mapping[str, Any]) -> set[str]:
    """Return the ids of the keys that a configuration of `ACCESS` knows: of others no token is let in."""
    return gateway_lua.keys_of(access["default_source_code"]["inline_string"])


def keys_file(instance: str, public_keys: Mapping[str, str]) -> str:
    """Return the file from which Envoy takes the filter that verifies tokens, as JSON.

    Everything that the filter's defaults would let pass is closed here: tokens in URLs,
    without expiry, or long expired.
    """
    provider = {
        "issuer": TOKEN_ISSUER,
        "audiences": [token_audience(instance)],
        "require_expiration": True,
        "clock_skew_seconds": gateway_lua.CLOCK_SKEW_SECONDS,
        "from_headers": [{"name": "Authorization", "value_prefix": "Bearer "}],
        "forward": True,  # the next step removes it, together with what else came in the header
        "payload_in_metadata": "token",
        "header_in_metadata": "token_header",
        "jwt_cache_config": {"jwt_cache_size": gateway_lua.TOKENS_KEPT},
        "local_jwks": {"inline_string": json.dumps(json_web_key_set(public_keys))},
    }
    rules = [{"match": {"prefix": "/"}, "requires": {"provider_name": "tenant"}}]
    return TOKEN.content({"providers": {"tenant": provider}, "rules": rules})


def access_file(keys: Mapping[str, KeyLimits], revoked: Iterable[str]) -> str:
    """Return the file from which Envoy takes what verified tokens may do, as JSON.

    `keys`: all that are trusted, by id, with their limits. A key that stands in the file of keys alone opens nothing:
    the two files arrive one after the other. `revoked`: ids of tokens.
    """
    code = gateway_lua.after_authentication(keys, revoked)
    return ACCESS.content({"default_source_code": {"inline_string": code}})
