"""The files that Envoy watches: configurations of filters that change while it runs, without a restart (ECDS).

Until Envoy has read each file once, it answers 500. If Envoy rejects a file, the previous configuration stays in force.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from components.core.names import token_audience
from components.core.public_keys import TOKEN_ISSUER, json_web_key_set
from components.core.scopes import KeyLimits
from components.gateway import lua_filters
from components.gateway.limits import GatewayLimits, limits_configs
from components.gateway.matching import MATCHER_TYPE

HTTP = "type.googleapis.com/envoy.extensions.filters.http"
TOKENS_KEPT = 2500
LUA_TYPE = f"{HTTP}.lua.v3.Lua"


@dataclass(frozen=True)
class WatchedFile:
    """The file of one filter.

    Attributes:
        filter: The name of the filter.
        part: Names the ConfigMap with the file, `gateway-<part>`, and its folder in the pod.
        file: The name of the file.
        type_url: The type of the filter's configuration.
    """

    filter: str
    part: str
    file: str
    type_url: str

    @property
    def folder(self) -> str:
        """The folder where the ConfigMap is mounted."""
        return f"/etc/envoy-{self.part}"

    def declaration(self) -> dict[str, Any]:
        """Return the filter's entry in the bootstrap configuration."""
        source = {"path": f"{self.folder}/{self.file}", "watched_directory": {"path": self.folder}}
        config = {"path_config_source": source, "initial_fetch_timeout": "5s"}
        return {"name": self.filter, "config_discovery": {"config_source": config, "type_urls": [self.type_url]}}

    def content(self, config: Mapping[str, Any]) -> str:
        """Return the file with a configuration of the filter, as JSON. `filter_in` reads it."""
        extension = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
        resource = {"name": self.filter, "typed_config": {"@type": self.type_url, **config}}
        return json.dumps({"resources": [{"@type": extension, **resource}]}, separators=(",", ":"))

    def resource(self, config: Mapping[str, Any]) -> str:
        """Return a file with something else than a filter, as JSON."""
        return json.dumps({"resources": [{"@type": self.type_url, **config}]}, separators=(",", ":"))


# If a change alters what these two filters expect of each other, rename both files. During an upgrade, running pods then find
# no file, and keep what they have, revocations and keys included, until new pods replace them. They would refuse every token
# with the new content of one file.
TOKEN = WatchedFile("token", "keys", "token.json", f"{HTTP}.jwt_authn.v3.JwtAuthentication")
ACCESS = WatchedFile("access", "access", "rights.json", LUA_TYPE)
RATES = WatchedFile("rates", "limits", "rates.json", f"{HTTP}.local_ratelimit.v3.LocalRateLimit")
BODIES = WatchedFile("whole-bodies", "limits", "bodies.json", MATCHER_TYPE)
BYTES = WatchedFile("bytes", "limits", "bytes.json", RATES.type_url)
CONNECTIONS = WatchedFile("connections", "limits", "connections.json", RATES.type_url)
ADDRESSES = WatchedFile("addresses", "limits", "addresses.json", f"{HTTP}.rbac.v3.RBAC")
LIMITS = (RATES, BODIES, BYTES, CONNECTIONS, ADDRESSES)
WATCHED = (TOKEN, ACCESS, *LIMITS)


def limits_files(limits: GatewayLimits, pods: int) -> dict[WatchedFile, str]:
    """Return the files with the limits, for a gateway of so many pods."""
    configs = limits_configs(limits, pods)
    return {watched: watched.content(configs[watched.filter]) for watched in LIMITS}


def filter_in(file: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the configuration of the filter in a file that Envoy watches."""
    resource = json.loads(file)["resources"][0]
    return resource["name"], resource["typed_config"]


def keys_in(token: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the keys (RFC 7517) in a configuration of `TOKEN`."""
    return list(json.loads(token["providers"]["tenant"]["local_jwks"]["inline_string"])["keys"])


def key_ids_in(access: Mapping[str, Any]) -> set[str]:
    """Return the ids of the keys in a configuration of `ACCESS`: tokens of other keys are refused."""
    return lua_filters.keys_of(access["default_source_code"]["inline_string"])


def keys_file(instance: str, public_keys: Mapping[str, str]) -> str:
    """Return the file of the filter that verifies tokens, as JSON.

    By its defaults the filter would accept tokens in URLs, without expiry, or expired for up to 60 s.
    """
    provider = {
        "issuer": TOKEN_ISSUER,
        "audiences": [token_audience(instance)],
        "require_expiration": True,
        "clock_skew_seconds": lua_filters.CLOCK_SKEW_SECONDS,
        "from_headers": [{"name": "Authorization", "value_prefix": "Bearer "}],
        "forward": True,  # the next filter reads the token, and removes the whole header
        # The next filter reads the claims from the token's text. Envoy would copy all of them for each request.
        "claim_to_headers": [{"header_name": lua_filters.SUBJECT_HEADER, "claim_name": "sub"}],
        # The cache of verified tokens with their claims: up to 18 KB each, in each of Envoy's workers.
        "jwt_cache_config": {"jwt_cache_size": TOKENS_KEPT, "jwt_max_token_size": lua_filters.LONGEST_TOKEN},
        "local_jwks": {"inline_string": json.dumps(json_web_key_set(public_keys))},
    }
    rules = [{"match": {"prefix": "/"}, "requires": {"provider_name": "tenant"}}]
    return TOKEN.content({"providers": {"tenant": provider}, "rules": rules})


def access_file(keys: Mapping[str, KeyLimits], revoked: Iterable[str]) -> str:
    """Return the file of the filter that decides what verified tokens may do, as JSON.

    Args:
        keys: The limits of all trusted keys by id. A key that is only in the file of keys gives no access: the two
            files arrive one after the other.
        revoked: The ids of revoked tokens.
    """
    code = lua_filters.after_authentication(keys, revoked)
    return ACCESS.content({"default_source_code": {"inline_string": code}, "clear_route_cache": False})
