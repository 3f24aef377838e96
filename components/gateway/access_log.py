"""The gateway's access log: one JSON line for each request on Envoy's standard output, for the cluster's log collector.

Text of a client is never copied unchanged, because a path, a query or a method can contain a token. The first Lua
filter (lua/log.lua) puts a cleaned method and path into the request's metadata, with the tenant of the host name. At
the instance's own name, the filter after authentication adds the token's tenant. It also puts the ids of the token and
its key into headers of the request, for verified tokens only.
"""

from typing import Any

REQUEST = "opstrace.request"  # the metadata's namespace
KEY_ID_HEADER, TOKEN_ID_HEADER = "x-opstrace-key-id", "x-opstrace-token-id"
TOKEN_ENDS_HEADER = "x-opstrace-token-ends"  # only of a token that is near its end
PATH_CHARACTERS = 256
ID_CHARACTERS = 128  # of a token or a key


def _noted(name: str) -> str:
    return f"%DYNAMIC_METADATA({REQUEST}:{name})%"


FIELDS = {
    "time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
    "tenant": _noted("tenant"),
    "api": _noted("api"),
    "method": _noted("method"),
    "path": _noted("path"),
    "status": "%RESPONSE_CODE%",
    "reason": "%RESPONSE_CODE_DETAILS%",
    "key_id": f"%REQ({KEY_ID_HEADER})%",
    "token_id": f"%REQ({TOKEN_ID_HEADER})%",
    "token_ends": f"%REQ({TOKEN_ENDS_HEADER})%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration_ms": "%DURATION%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
}
"""Field name to Envoy's command operator; docs/reference/access-log.md explains the fields."""


def access_log() -> dict[str, Any]:
    """Return the logger of an HTTP connection manager."""
    return {
        "name": "access",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": "/dev/stdout",
            "log_format": {"json_format": FIELDS},
        },
    }
