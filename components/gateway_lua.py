"""The gateway's own steps in a request, in Lua, which Envoy runs for each.

The first looks at host and credentials before the token is verified, the second at
what the token says after that, the third at what the limits are to count and at the
name to look up, the fourth at answers to pushes. At the instance's own name it is the
token that says which tenant is meant.
"""

import re
from collections.abc import Iterable, Mapping

from components.access import KeyLimits
from components.access_log import NOTE_TENANT, STEP, VERIFIED
from components.gateway_limits import BYTES_HEADER, CONNECTION_HEADER, RETRY_AFTER_SECONDS, TENANT_HEADER, TOO_MANY

UPSTREAM_HEADER = "x-opstrace-upstream"
# In a route's metadata. For the step after authentication: the service of the token's tenant that the request goes to.
SERVICE_OF_TOKEN = "service_of_token"
# For the step before it: the service of the host's tenant, where it is not the API's own; and how to ask a browser's user.
SERVICE, CHALLENGE = "service", "challenge"
TURN_SECONDS = 45
CLOCK_SKEW_SECONDS = 5
MOST_BYTES = 100 * 2**20  # of a body: what Cortex takes at most (distributor.max-recv-msg-size); Loki takes less
MOST_ERROR_BYTES = 16 * 2**10  # of a body that is changed; well below what a connection may keep
TOKENS_KEPT = 5000  # by each of Envoy's workers
LONGEST_KEPT = 2048  # characters: a token of ours has some 700
# With the time that forgetting takes, and that for which a request is tried again, shorter than a turn; longer than most
# Prometheus wait between two pushes, whose name would be forgotten, and its connections closed, each time.
HOST_TTL_SECONDS = 12

HOST = """
local function in_host(handle, pattern)
  local host = (handle:headers():get(":authority") or ""):lower():gsub(":%d+$", "")
  return host:match(pattern)
end
local function refuse(handle, status, text, challenge)
  handle:respond({[":status"] = status, ["content-type"] = "text/plain", ["www-authenticate"] = challenge}, text)
end
"""

SEND = """
local function send_to(handle, service, tenant)
  local headers = handle:headers()
  headers:replace("__TENANT_HEADER__", tenant)
  headers:replace("__UPSTREAM_HEADER__", service .. "." .. tenant .. "-tenant.svc.cluster.local")
  headers:replace("x-scope-orgid", tenant)
end
"""

BASE64 = """
local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local function decoded(text)
  if not text:match("^[%w+/]+=?=?$") then return nil end
  local bits, count, out = 0, 0, {}
  for symbol in text:gmatch("[%w+/]") do
    bits = bits * 64 + ALPHABET:find(symbol, 1, true) - 1
    count = count + 6
    if count >= 8 then
      count = count - 8
      local rest = 2 ^ count
      out[#out + 1] = string.char(math.floor(bits / rest))
      bits = bits % rest
    end
  end
  return table.concat(out)
end
"""

# Both steps keep what they found out of a token, by its text, of which it is a function: reading a token of 700 characters
# again for each push took more than all else that they do.
KEPT = """
local function remembering(find, longest)
  local kept, count = {}, 0
  return function(text, ...)
    local found = kept[text]
    if found ~= nil then return found end
    found = find(text, ...)
    if found and #text <= longest then
      if count == __MOST__ then kept, count = {}, 0 end
      kept[text], count = found, count + 1
    end
    return found
  end
end
"""

GRAMMAR = """
local is_bearer = remembering(function(text)
  return text:match("^Bearer [%w%-_]+%.[%w%-_]+%.[%w%-_]+$") ~= nil
end, __LONGEST__)
"""

BEFORE_AUTHENTICATION = """
function envoy_on_request(handle)
  __TENANT__
  local headers = handle:headers()
  if (tonumber(headers:get("content-length") or "") or 0) > __MOST_BYTES__ then
    refuse(handle, "413", "a request may have __MOST_BYTES__ bytes") return
  end
  headers:remove("__CONNECTION_HEADER__")
  __CREDENTIALS__
end
"""

TENANT_OF_HOST = """
  local tenant = in_host(handle, "^__API__%.([a-z0-9]+)%.__DOMAIN__$")
  local service = handle:metadata():get("__SERVICE__") or "__API__"
  note_for_log(handle, tenant, service)
  if not tenant then refuse(handle, "404", "no such tenant") return end
  send_to(handle, service, tenant)
"""

# Of whose data it is, nothing is known until the token is verified; what a client says of it is taken away.
TENANT_OF_TOKEN = """
  note_for_log(handle)
  if not in_host(handle, "^__DOMAIN__$") then refuse(handle, "404", "no such tenant") return end
  for _, name in ipairs({"__TENANT_HEADER__", "__UPSTREAM_HEADER__", "x-scope-orgid"}) do handle:headers():remove(name) end
"""

CREDENTIALS = """
  local given = headers:get("authorization")
  if not given or given == "" then
    refuse(handle, "401", "Authorization header missing or invalid", handle:metadata():get("__CHALLENGE__")) return
  end
  local basic = given:match("^Basic ([%w+/]+=?=?)$")
  if basic then
    -- A browser sends a password that it was given once with whatever another site lets it send.
    local site, method = headers:get("sec-fetch-site"), headers:get(":method")
    if (site == "cross-site" or site == "same-site") and method ~= "GET" and method ~= "HEAD" then
      refuse(handle, "403", "another site may not send this") return
    end
    local password = (decoded(basic) or ""):match("^[^:]*:(.*)$")
    given = "Bearer " .. (password or "")
    headers:replace("authorization", given)
  end
  if headers:getNumValues("authorization") ~= 1 or not is_bearer(given) then
    refuse(handle, "401", "Authorization header format invalid. Expecting 'Bearer <AUTHTOKEN>'") return
  end
"""

# What a client sends all the same is no matter of the back end's.
NO_CREDENTIALS = 'headers:remove("authorization")'

# Only what jwt_authn has verified comes here. The order: whose token, which key, taken back, what for.
AFTER_AUTHENTICATION = """
local KEYS = {
__KEYS__
}
local REVOKED = {}
for id in ("__REVOKED__"):gmatch("%S+") do REVOKED[id] = true end

-- Lua cannot tell a claim that is null from one that is not there, so the text is looked at; escaped letters are letters.
local function is_scope_null(token)
  local payload = token:match("%.([^%.]+)%."):gsub("-", "+"):gsub("_", "/")
  local text = (decoded(payload) or ""):gsub("\\\\u00(%x%x)", function(code) return string.char(tonumber(code, 16)) end)
  return text:find('"scope"%s*:%s*null') ~= nil
end

local function names_in(scope)
  local names = {}
  for name in (type(scope) == "string" and scope or ""):gmatch("[^ ]+") do names[name] = true end
  return names
end

local said_by = remembering(function(token, handle)
  local verified = handle:streamInfo():dynamicMetadata():get("__VERIFIED__")
  local claims = verified and verified["token"]
  local header = verified and verified["token_header"]
  local subject, kid = claims and claims["sub"], header and header["kid"]
  local tenant = type(subject) == "string" and subject:match("^tenant%-([a-z0-9]+)$")
  if not tenant or type(kid) ~= "string" then return false end
  local scope = claims["scope"]
  return {
    tenant = tenant,
    kid = kid,
    ends = claims["exp"],
    id = claims["jti"],  -- text, or jwt_authn would have refused it
    scopes = scope ~= nil and names_in(scope),
    null = scope == nil and is_scope_null(token),
  }
end, __LONGEST__)

local function refusal(handle)
  local headers = handle:headers()
  local said = said_by(headers:get("authorization"), handle)
  -- An empty kid, with which every key would be tried, is in no list; nor is a key whose limits are still on their way.
  local key = said and KEYS[said.kid]
  if not key then return "" end
  local tenant = said.tenant
  -- jwt_authn has just refused what is over, whatever is remembered here; this holds if that should ever not be asked.
  if type(said.ends) ~= "number" or handle:timestamp() > (said.ends + __CLOCK_SKEW__ + 1) * 1000 then return "" end
  local asked = headers:get("__TENANT_HEADER__")
  local service = not asked and handle:metadata():get("__OF_TOKEN__")  -- at the instance's own name
  if service then note_tenant(handle, tenant, service) end
  if not service and tenant ~= asked then return ": unexpected tenant: " .. tenant end
  if key.tenants and not key.tenants[tenant] then return ": its key may not speak for this tenant" end
  if key.not_after and handle:timestamp() >= key.not_after * 1000 then return ": its key is no longer accepted" end
  if said.id and REVOKED[said.id] then return ": revoked" end
  if said.null then return ": scope is null" end
  if said.scopes or key.scopes then
    local needed = handle:metadata():get("scope")
    if type(needed) ~= "string" then return ": no scope covers this path" end
    if said.scopes and not said.scopes[needed] then return ": scope does not cover " .. needed end
    if key.scopes and not key.scopes[needed] then return ": its key does not cover " .. needed end
  end
  headers:remove("authorization")
  if service then send_to(handle, service, tenant) end
end

function envoy_on_request(handle)
  local reason = refusal(handle)
  if reason then
    handle:respond({[":status"] = "401", ["content-type"] = "text/plain"}, "bad authentication token" .. reason)
  end
end
"""

# A connection too many would be no limit if it could be used after this. What a body has whose length was not declared,
# the step before this one has found out; never less than one is counted: a count of nothing would not be asked.
BEFORE_LIMITS = """
function envoy_on_request(handle)
  local headers = handle:headers()
  if headers:get("__CONNECTION_HEADER__") == "__TOO_MANY__" then
    handle:streamInfo():drainConnectionUponCompletion()
    local said = {[":status"] = "429", ["content-type"] = "text/plain", ["retry-after"] = "__RETRY_AFTER__"}
    handle:respond(said, "too many new connections of this tenant") return
  end
  local length = tonumber(headers:get("content-length") or "") or 0
  headers:replace("__BYTES_HEADER__", length < 1 and "1" or tostring(length))
  -- An address that was found once is kept by Envoy for as long as it is asked for, even when the name is gone: a
  -- deleted tenant's clients would reach whoever has its address next. So two spellings of the name take turns; each
  -- is forgotten (host_ttl) while the other is in use, and looked up anew. Here, where no client is waited for any more.
  local name, turn = headers:get("__UPSTREAM_HEADER__"), math.floor(handle:timestamp() / (1000 * __TURN_SECONDS__)) % 2
  if name and turn == 1 then headers:replace("__UPSTREAM_HEADER__", name .. ".") end
end
"""

PUSH_ANSWERS = """
local LEGACY = __LEGACY__
local function change(handle, status, text)
  handle:headers():replace(":status", status)
  -- A body that Envoy cannot hold would become its own 500. Errors are short; of what is not, the status alone is changed.
  local given = tonumber(handle:headers():get("content-length") or "")
  if not given or given > __MOST_ERROR_BYTES__ then return end
  local body = handle:body(true)
  local length = body:length()
  text = text .. (length > 0 and body:getBytes(0, length) or "")
  body:setBytes(text)
  handle:headers():replace("content-length", tostring(#text))
end
function envoy_on_response(handle)
  local headers = handle:headers()
  if not headers:get("x-envoy-upstream-service-time") then return end
  local status = headers:get(":status")
  if status == "429" then change(handle, "503", "429-to-503: ") end
  if LEGACY and status:match("^5") then change(handle, "409", "500-to-409: ") end
end
"""


def _escaped(domain: str) -> str:
    """Return `domain` as a Lua pattern that matches nothing else."""
    return "".join(character if character.isalnum() else f"%{character}" for character in domain)


def before_authentication(api: str, domain: str, *, authentication: bool) -> str:
    """Return the step at the tenants' names: it finds the tenant in the host, and holds the credentials to their grammar."""
    text = HOST + STEP + SEND + _before(TENANT_OF_HOST, authentication=authentication)
    return _filled(text).replace("__API__", api).replace("__DOMAIN__", _escaped(domain))


def before_authentication_at_instance(domain: str) -> str:
    """Return the step at the instance's own name: the tenant is taken from the token, by the step after authentication."""
    text = HOST + STEP + _before(TENANT_OF_TOKEN, authentication=True)
    return _filled(text).replace("__DOMAIN__", _escaped(domain))


def _before(tenant: str, *, authentication: bool) -> str:
    grammar = BASE64 + KEPT + GRAMMAR if authentication else ""
    step = BEFORE_AUTHENTICATION.replace("__TENANT__", tenant.strip())
    return grammar + step.replace("__CREDENTIALS__", CREDENTIALS if authentication else NO_CREDENTIALS)


def _filled(text: str) -> str:
    """Return `text` with this module's constants."""
    values = {
        "__TURN_SECONDS__": TURN_SECONDS,
        "__MOST_BYTES__": MOST_BYTES,
        "__CLOCK_SKEW__": CLOCK_SKEW_SECONDS,
        "__MOST__": TOKENS_KEPT,
        "__LONGEST__": LONGEST_KEPT,
        "__UPSTREAM_HEADER__": UPSTREAM_HEADER,
        "__BYTES_HEADER__": BYTES_HEADER,
        "__TENANT_HEADER__": TENANT_HEADER,
        "__CONNECTION_HEADER__": CONNECTION_HEADER,
        "__TOO_MANY__": TOO_MANY,
        "__RETRY_AFTER__": RETRY_AFTER_SECONDS,
        "__VERIFIED__": VERIFIED,
        "__OF_TOKEN__": SERVICE_OF_TOKEN,
        "__SERVICE__": SERVICE,
        "__CHALLENGE__": CHALLENGE,
    }
    for name, value in values.items():
        text = text.replace(name, str(value))
    return text


def _quoted(text: str) -> str:
    """Return `text` as a Lua string; raises `ValueError` for what no id, tenant or scope has."""
    if not re.fullmatch(r"[A-Za-z0-9._~:-]+", text):
        raise ValueError(f"{text!r} cannot stand in the gateway's lists")
    return f'"{text}"'


def _set(names: Iterable[str]) -> str:
    return "{" + ", ".join(f"[{_quoted(name)}]=true" for name in names) + "}"


def _key(limits: KeyLimits) -> str:
    """Return a key's limits as a Lua table, in which a limit that is not set is missing."""
    parts = [f"tenants={_set(limits.tenants)}"] if limits.tenants is not None else []
    parts += [f"scopes={_set(limits.scopes)}"] if limits.scopes is not None else []
    parts += [f"not_after={limits.not_after}"] if limits.not_after is not None else []
    return "{" + ", ".join(parts) + "}"


def after_authentication(keys: Mapping[str, KeyLimits], revoked: Iterable[str]) -> str:
    """Return the step that decides what a token that was verified may do.

    `keys`: every key that is trusted, by its id, with its limits. `revoked`: ids of tokens. They are one text that is
    split when it is loaded: half the size and the time of as many entries of a table.
    """
    table = "\n".join(f"  [{_quoted(kid)}]={_key(limits)}," for kid, limits in sorted(keys.items()))
    ids = " ".join(_quoted(token_id)[1:-1] for token_id in sorted(revoked))
    text = _filled(NOTE_TENANT + SEND + BASE64 + KEPT + AFTER_AUTHENTICATION)
    return text.replace("__KEYS__", table).replace("__REVOKED__", ids)


def keys_of(code: str) -> set[str]:
    """Return the ids of the keys in a text of `after_authentication`."""
    return set(re.findall(r'^  \["([^"]+)"\]=', code, re.MULTILINE))


def before_limits() -> str:
    """Return our last step on the way in: it ends a connection too many, tells the limits a body's length, and Envoy the name."""
    return _filled(BEFORE_LIMITS)


def push_answers(*, legacy_errors: bool) -> str:
    """Return the step that changes the back end's answers to pushes so that clients try again."""
    text = PUSH_ANSWERS.replace("__LEGACY__", str(legacy_errors).lower())
    return text.replace("__MOST_ERROR_BYTES__", str(MOST_ERROR_BYTES))
