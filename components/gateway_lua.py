"""The gateway's own steps in a request, in Lua, which Envoy runs for each.

The first looks at host and credentials before the token is verified, the second at
what the token says after that, the third at answers to pushes.
"""

UPSTREAM_HEADER = "x-opstrace-upstream"
TURN_SECONDS = 30
HOST_TTL_SECONDS = 20  # shorter than a turn, with the time that forgetting takes

HOST = """
local function tenant_of(handle)
  local host = (handle:headers():get(":authority") or ""):lower():gsub(":%d+$", "")
  return host:match("^__API__%.([a-z0-9]+)%.__DOMAIN__$")
end
local function refuse(handle, status, text)
  handle:respond({[":status"] = status, ["content-type"] = "text/plain"}, text)
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

BEFORE_AUTHENTICATION = """
function envoy_on_request(handle)
  local tenant = tenant_of(handle)
  if not tenant then refuse(handle, "404", "no such tenant") return end
  local headers = handle:headers()
  headers:replace("x-opstrace-tenant", tenant)
  -- An address that was found once is kept by Envoy for as long as it is asked for, even when the name is gone: a
  -- deleted tenant's clients would reach whoever has its address next. So two spellings of the name take turns; each
  -- is forgotten (host_ttl) while the other is in use, and looked up anew.
  local turn = math.floor(handle:timestamp() / (1000 * __TURN_SECONDS__)) % 2
  local name = "__API__." .. tenant .. "-tenant.svc.cluster.local" .. (turn == 0 and "" or ".")
  headers:replace("__UPSTREAM_HEADER__", name)
  headers:replace("x-scope-orgid", tenant)
  __CREDENTIALS__
end
"""

CREDENTIALS = """
  local given = headers:get("authorization")
  if not given or given == "" then
    refuse(handle, "401", "Authorization header missing or invalid") return
  end
  local basic = given:match("^Basic ([%w+/]+=?=?)$")
  if basic then
    local password = (decoded(basic) or ""):match("^[^:]*:(.*)$")
    given = "Bearer " .. (password or "")
    headers:replace("authorization", given)
  end
  if headers:getNumValues("authorization") ~= 1 or not given:match("^Bearer [%w%-_]+%.[%w%-_]+%.[%w%-_]+$") then
    refuse(handle, "401", "Authorization header format invalid. Expecting 'Bearer <AUTHTOKEN>'") return
  end
"""

AFTER_AUTHENTICATION = """
function envoy_on_request(handle)
  local verified = handle:streamInfo():dynamicMetadata():get("envoy.filters.http.jwt_authn")
  local payload = verified and verified["token"]
  local header = verified and verified["token_header"]
  local subject = payload and payload["sub"]
  local tenant = type(subject) == "string" and subject:match("^tenant%-([a-z0-9]+)$")
  local kid = header and header["kid"]
  -- Not even an empty one: with it, every key would be tried.
  if not tenant or type(kid) ~= "string" or #kid ~= 40 or not kid:match("^%x+$") then
    refuse(handle, "401", "bad authentication token") return
  end
  if tenant ~= handle:headers():get("x-opstrace-tenant") then
    refuse(handle, "401", "bad authentication token: unexpected tenant: " .. tenant) return
  end
  handle:headers():remove("authorization")
end
"""

PUSH_ANSWERS = """
local LEGACY = __LEGACY__
local function change(handle, status, text)
  local body = handle:body(true)
  local length = body:length()
  text = text .. (length > 0 and body:getBytes(0, length) or "")
  body:setBytes(text)
  handle:headers():replace("content-length", tostring(#text))
  handle:headers():replace(":status", status)
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
    """Return the step that finds the tenant in the host name and holds the credentials to their grammar."""
    text = HOST + (BASE64 if authentication else "") + BEFORE_AUTHENTICATION
    text = text.replace("__CREDENTIALS__", CREDENTIALS if authentication else "")
    text = text.replace("__TURN_SECONDS__", str(TURN_SECONDS)).replace("__UPSTREAM_HEADER__", UPSTREAM_HEADER)
    return text.replace("__API__", api).replace("__DOMAIN__", _escaped(domain))


def after_authentication(api: str, domain: str) -> str:
    """Return the step that holds the token's subject against the host name's tenant."""
    return (HOST + AFTER_AUTHENTICATION).replace("__API__", api).replace("__DOMAIN__", _escaped(domain))


def push_answers(*, legacy_errors: bool) -> str:
    """Return the step that changes the back end's answers to pushes so that clients try again."""
    return PUSH_ANSWERS.replace("__LEGACY__", str(legacy_errors).lower())
