"""The gateway's access log: one JSON line a request, on Envoy's standard output, for the cluster's log collection.

What a client wrote is never copied as it came: a token can stand in a path, a query or a method. The gateway's first
step (`STEP`, in Lua) leaves what may be logged of the request line in the request's metadata, and the tenant of the host
name; at the instance's own name the step after authentication leaves the token's. What the token says comes from
`jwt_authn`, which tells it of verified tokens alone.
"""

from typing import Any

REQUEST = "opstrace.request"  # the metadata's namespace
VERIFIED = "envoy.filters.http.jwt_authn"
PATH_CHARACTERS = 256

NOTE_TENANT = """
local function note_tenant(handle, tenant, api)
  local metadata = handle:streamInfo():dynamicMetadata()
  metadata:set("__NAMESPACE__", "tenant", tenant)
  metadata:set("__NAMESPACE__", "api", api)
end
""".replace("__NAMESPACE__", REQUEST)

# `eyJ` is how a JWT begins: `{"` in base64url. The path is normalized before: no percent-encoded letter is left in it.
STEP = (
    NOTE_TENANT
    + """
local METHODS = {GET=1, HEAD=1, POST=1, PUT=1, PATCH=1, DELETE=1, OPTIONS=1}
local function note_for_log(handle, tenant, api)
  local headers = handle:headers()
  local path = (headers:get(":path") or ""):gsub("[?#].*", ""):gsub("eyJ[%w%-_%.%%=]*", "TOKEN"):sub(1, __LENGTH__)
  local method = headers:get(":method") or ""
  local metadata = handle:streamInfo():dynamicMetadata()
  metadata:set("__NAMESPACE__", "path", path)
  metadata:set("__NAMESPACE__", "method", METHODS[method] and method or "other")
  if tenant then note_tenant(handle, tenant, api) end
end
""".replace("__LENGTH__", str(PATH_CHARACTERS)).replace("__NAMESPACE__", REQUEST)
)


def _of_request(name: str) -> str:
    return f"%DYNAMIC_METADATA({REQUEST}:{name})%"


FIELDS = {
    "time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
    "tenant": _of_request("tenant"),
    "api": _of_request("api"),
    "method": _of_request("method"),
    "path": _of_request("path"),
    "status": "%RESPONSE_CODE%",
    "reason": "%RESPONSE_CODE_DETAILS%",
    "key_id": f"%DYNAMIC_METADATA({VERIFIED}:token_header:kid)%",
    "token_id": f"%DYNAMIC_METADATA({VERIFIED}:token:jti)%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration_ms": "%DURATION%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
}
"""Name in the line to Envoy's command operator; docs/operations.md says what each is."""


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
