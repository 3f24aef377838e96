"""The gateway's filters in Lua. Their code is in the folder `lua`; Envoy runs them for each request.

The code of a filter is one text: a table of parameters, followed by the files that the filter consists of. The first
filter checks host and credentials before the token is verified. The second one decides what a verified token may do.
Further filters refuse connections beyond a rate, set the length of a body that was buffered, and cut bodies. Others change
answers to pushes, and close connections after refusals.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from components.core.scopes import LONG_TOKEN_DAYS, SCOPES, TOKEN_ENDS_DAYS, KeyLimits
from components.core.units import DAY
from components.gateway.access_log import (
    ID_CHARACTERS,
    KEY_ID_HEADER,
    PATH_CHARACTERS,
    REQUEST,
    TOKEN_ENDS_HEADER,
    TOKEN_ID_HEADER,
)
from components.gateway.limits import (
    BYTES_HEADER,
    CONNECTION_HEADER,
    RETRY_AFTER_SECONDS,
    TENANT_HEADER,
    TOO_MANY_FROM_ADDRESS,
)

FILES = Path(__file__).parent / "lua"
UPSTREAM_HEADER = "x-opstrace-upstream"
SUBJECT_HEADER = "x-opstrace-subject"  # the subject of a verified token, as Envoy has read it
VERSION_HEADER = "x-opstrace-version"  # of keys, revocations and addresses that let a websocket in
# Headers that the filters set; Envoy removes them from every client's request first.
OWN_HEADERS = (
    TENANT_HEADER,
    UPSTREAM_HEADER,
    BYTES_HEADER,
    CONNECTION_HEADER,
    SUBJECT_HEADER,
    KEY_ID_HEADER,
    TOKEN_ID_HEADER,
    TOKEN_ENDS_HEADER,
    VERSION_HEADER,
    "x-scope-orgid",
)
# Keys of a route's metadata. For the filter after authentication: the Service of the token's tenant, which gets the request.
SERVICE_OF_TOKEN = "service_of_token"
# For the filter before it: the Service of the host's tenant if it differs from the API's, and a browser's challenge.
SERVICE, CHALLENGE = "service", "challenge"
# For the filter of answers to pushes: the clients use OpenTelemetry's protocol.
OTLP = "otlp"
# In place of a scope in a route's metadata: a token of any scope gets the route's own answer.
ANY_SCOPE = "any"
# The answer to each refused token; the original's text.
BAD_TOKEN = "bad authentication token"
TURN_SECONDS = 50  # how long one of the two spellings of a name is in use: lua/spelling.lua
CLOCK_SKEW_SECONDS = 5
MOST_BYTES = 100 * 2**20  # of a body: Cortex's maximum (distributor.max-recv-msg-size); Loki's is lower
MOST_ERROR_BYTES = 8 * 2**10  # of an error body that is changed; well below a connection's buffer
LONGEST_TOKEN = 2048  # characters: one of ours has 700, with a key of 4,096 bits 1,100
LONGEST_BASIC = 3072  # characters of `Basic …`: the longest token and a user name of 240
LONGEST_HEADER = 512  # characters of a token's first part, which holds the key's id; ours has about 120
# In each part of a token, texts included. One of ours has at most 2 brackets and 25 separators (commas and colons).
MOST_BRACKETS, MOST_SEPARATORS = 4, 64
LONGEST_HOST = 253 + 6  # characters: a name (RFC 1035) with a port
READ_PATH_CHARACTERS = 768  # of a path, for the access log

# Sizes of the caches in Lua, of each Envoy worker: the bytes of the cached texts, and ENTRY_BYTES for each entry.
# Envoy's overload manager does not count them. They hold 3,400 of our tokens after authentication. Before it, anybody can fill
# them, and each host's first filter has its own: 850 tokens in its newer half, and as many in the older one.
TOKEN_BYTES_KEPT = 4 * 2**20
FORM_BYTES_KEPT = 2 * 2**20
HEADER_BYTES_KEPT = 128 * 2**10
ENTRY_BYTES = 512
# TTL of a name in Envoy's DNS cache. Together with the time of expiry and of retries it is shorter than a turn. It is
# longer than most intervals between two pushes of a Prometheus: an expired name loses its connections too.
HOST_TTL_SECONDS = 12
# Parameters of several filters; a filter's own parameters come on top.
PARAMETERS: Mapping[str, Any] = {
    "addresses": "envoy.filters.http.rbac",  # the metadata's namespace of the filter that checks addresses
    "any_scope": ANY_SCOPE,
    "bad_token": BAD_TOKEN,
    "bytes_header": BYTES_HEADER,
    "challenge": CHALLENGE,
    "clock_skew_seconds": CLOCK_SKEW_SECONDS,
    "connection_header": CONNECTION_HEADER,
    "entry_bytes": ENTRY_BYTES,
    "form_bytes": FORM_BYTES_KEPT,
    "header_bytes": HEADER_BYTES_KEPT,
    "key_id_header": KEY_ID_HEADER,
    "logged": REQUEST,
    "logged_id_characters": ID_CHARACTERS,
    "logged_path_characters": PATH_CHARACTERS,
    "longest_basic": LONGEST_BASIC,
    "longest_header": LONGEST_HEADER,
    "longest_host": LONGEST_HOST,
    "most_brackets": MOST_BRACKETS,
    "most_separators": MOST_SEPARATORS,
    "read_path_characters": READ_PATH_CHARACTERS,
    "scopes": dict.fromkeys(SCOPES, True),
    "long_token_seconds": LONG_TOKEN_DAYS * DAY,
    "longest_token": LONGEST_TOKEN,
    "most_bytes": MOST_BYTES,
    "most_error_bytes": MOST_ERROR_BYTES,
    "otlp": OTLP,
    "retry_after": str(RETRY_AFTER_SECONDS),
    "service": SERVICE,
    "service_of_token": SERVICE_OF_TOKEN,
    "subject_header": SUBJECT_HEADER,
    "tenant_header": TENANT_HEADER,
    "token_bytes": TOKEN_BYTES_KEPT,
    "token_ends_header": TOKEN_ENDS_HEADER,
    "token_ends_seconds": TOKEN_ENDS_DAYS * DAY,
    "token_id_header": TOKEN_ID_HEADER,
    "too_many_from_address": TOO_MANY_FROM_ADDRESS,
    "turn_seconds": TURN_SECONDS,
    "upstream_header": UPSTREAM_HEADER,
    "version_header": VERSION_HEADER,
}
CHECKED = ("base64", "simple", "memoize", "json", "key_id", "credentials")
DATA = "-- data: "  # begins the line with the keys of the filter after authentication and their version, in JSON


@cache
def source(name: str) -> str:
    """Return the text of one file of the folder `lua`."""
    return (FILES / f"{name}.lua").read_text()


def to_lua(value: Any) -> str:
    """Return a value as Lua: a mapping becomes a table; a sequence is not supported."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"[{_quoted(key)}] = {to_lua(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else _quoted(value)


def _quoted(text: str) -> str:
    """Return `text` as a Lua string.

    Raises:
        ValueError: A character could end the string.
    """
    if not re.fullmatch(r"[\w .~:%^$()+?\[\]-]*", text, re.ASCII):
        raise ValueError(f"{text!r} has a character that is not allowed in the gateway's Lua")
    return f'"{text}"'


def _code(*files: str, **own: Any) -> str:
    """Return a filter's code: a table of the parameters that its files use, and the files.

    Raises:
        ValueError: The files use a parameter that has no value.
    """
    code = "\n".join(source(name) for name in files)
    used = set(re.findall(r"PARAMETERS\.(\w+)", code))
    parameters = {name: value for name, value in {**PARAMETERS, **own}.items() if name in used}
    if missing := used - {*parameters}:
        raise ValueError(f"the files {', '.join(files)} use unknown parameters: {', '.join(sorted(missing))}")
    lines = "".join(f"  {name} = {to_lua(value)},\n" for name, value in parameters.items())
    return (f"local PARAMETERS = {{\n{lines}}}\n\n" if lines else "") + code


def _end_of_host(domain: str) -> str:
    """Return the end of a Lua pattern for hosts of `domain`. A host name may end with a dot (RFC 1034, 3.1)."""
    escaped = "".join(character if character.isalnum() else f"%{character}" for character in domain)
    return f"{escaped}%.?$"


def before_authentication(api: str, domain: str, *, authentication: bool, per_address: bool = False) -> str:
    """Return the first filter at the tenants' names: it reads the tenant from the host, and checks the token's form.

    Args:
        api: The API whose host names these are.
        domain: The instance's own domain.
        authentication: Whether requests need a token.
        per_address: Whether the filter refuses connections beyond the rate of a client address.
    """
    credentials = CHECKED if authentication else ("no_credentials",)
    host = f"^{api}%.([a-z0-9]+)%.{_end_of_host(domain)}"
    files = ("length", "host", "log", "log_tenant", "spelling", "send", *credentials, "at_tenant")
    return _code(*files, api=api, host=host, per_address=per_address)


def before_authentication_at_instance(domain: str, *, per_address: bool = False) -> str:
    """Return the first filter at the instance's own name. There the tenant is unknown until the token is verified."""
    host = f"^{_end_of_host(domain)}"
    return _code("length", "host", "log", *CHECKED, "at_instance", host=host, per_address=per_address)


def _key(limits: KeyLimits) -> dict[str, Any]:
    """Return the limits that a key has."""
    sets = {"tenants": limits.tenants, "scopes": limits.scopes}
    table: dict[str, Any] = {
        name: dict.fromkeys(entries, True) for name, entries in sets.items() if entries is not None
    }
    return table | ({"not_after": limits.not_after} if limits.not_after is not None else {})


def after_authentication(keys: Mapping[str, KeyLimits], revoked: Iterable[str]) -> str:
    """Return the filter that decides what a verified token may do.

    Args:
        keys: The limits of every trusted key by its id.
        revoked: The ids of revoked tokens. The filter gets them as one text and splits it when it loads: that takes
            half the size and the time of a table.
    """
    table = {kid: _key(limits) for kid, limits in sorted(keys.items())}
    files = ("log_tenant", "spelling", "send", "base64", "json", "memoize", "follow", "after_authentication")
    ids = " ".join(sorted(revoked))
    version = hashlib.sha256(json.dumps([table, ids]).encode()).hexdigest()[:16]
    code = _code(*files, keys=table, revoked=ids, version=version)
    return DATA + json.dumps({"keys": [*table], "version": version}) + "\n" + code


def keys_of(code: str) -> set[str]:
    """Return the ids of the keys in code of `after_authentication`; an empty set for other code."""
    first = code.split("\n", 1)[0]
    return set(json.loads(first.removeprefix(DATA))["keys"]) if first.startswith(DATA) else set()


def version_of(code: str) -> str:
    """Return the version of the keys and revocations in code of `after_authentication`."""
    return str(json.loads(code.split("\n", 1)[0].removeprefix(DATA))["version"])


def refuse_connection() -> str:
    """Return the filter that refuses the first request of a connection beyond its tenant's rate and closes it."""
    return _code("refuse_connection")


def close_refused() -> str:
    """Return the filter that closes the connection after an answer of the gateway's own."""
    return _code("close_refused")


def closed_path() -> str:
    """Return the filter that refuses a closed path once the token is verified and the tenant's name is resolved."""
    return _code("closed_path")


def before_bytes() -> str:
    """Return the filter for requests whose length the client does not declare: it sets the length for the byte limit."""
    return _code("length", "spelling", "before_bytes")


def cut_body() -> str:
    """Return the filter that cuts a body of undeclared length, or data of a websocket, beyond the size that any may have."""
    return _code("change", "cut_body")


def push_answers(*, legacy_errors: bool) -> str:
    """Return the filter that changes a back end's error answers to pushes so that clients retry."""
    return _code("change", "push_answers", legacy_errors=legacy_errors)
