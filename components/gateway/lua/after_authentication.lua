-- Decides what a token that jwt_authn has verified may do. It checks the key, the tenant, the revocations and the scope,
-- in this order.

local REVOKED = {}
for id in PARAMETERS.revoked:gmatch("%S+") do REVOKED[id] = true end

local function names_in(scope)
  local names = {}
  for name in (type(scope) == "string" and scope or ""):gmatch("[^ ]+") do names[name] = PARAMETERS.scopes[name] end
  return names
end

-- Returns an id as a header may have it: without line breaks, and with a length that no token makes large.
local function in_header(id)
  return (id:sub(1, PARAMETERS.logged_id_characters):gsub("[^!-~]", "?"))
end

-- Returns from when on the log warns of a token's end, nil for one that does not live for long.
local function warned_from(claims)
  local from, to = claims.iat, claims.exp
  if type(from) ~= "number" or type(to) ~= "number" or to - from < PARAMETERS.long_token_seconds then return nil end
  return to - PARAMETERS.token_ends_seconds
end

-- Returns what a token says, or false for a token of another form. Envoy's own reading of the subject must be the same.
local claims_of = memoized(function(credentials, headers)
  local first, second = credentials:match("^Bearer ([%w%-_]+)%.([%w%-_]+)%.[%w%-_]+$")
  local header, claims = first and object_in(decoded(first)), first and object_in(decoded(second))
  if not header or not claims or claims.sub ~= headers:get(PARAMETERS.subject_header) then return false end
  local tenant = type(claims.sub) == "string" and claims.sub:match("^tenant%-([a-z0-9]+)$")
  if not tenant or type(header.kid) ~= "string" or claims.jti ~= nil and type(claims.jti) ~= "string" then
    return false
  end
  return {
    subject = claims.sub,
    tenant = tenant,
    expires = claims.exp,
    warned_from = warned_from(claims),
    scopes = claims.scope ~= nil and names_in(claims.scope),
    is_scope_null = claims.scope == NULL,
    kid = header.kid,
    id = claims.jti,
    logged_kid = in_header(header.kid),
    logged_id = claims.jti and in_header(claims.jti),
  }
end, PARAMETERS.token_bytes)

-- Notes the ids for the access log in headers: the request's metadata takes ten times as long.
local function note_ids(headers, claims)
  headers:replace(PARAMETERS.key_id_header, claims.logged_kid)
  if claims.logged_id then headers:replace(PARAMETERS.token_id_header, claims.logged_id) end
end

-- Notes the end of a token that is near it for the access log, and for the filter that counts such requests.
local function note_end(handle, headers, claims)
  if not claims.warned_from or handle:timestamp() < claims.warned_from * 1000 then return end
  headers:replace(PARAMETERS.token_ends_header, os.date("!%Y-%m-%dT%H:%M:%SZ", claims.expires))
end

local function scope_refusal(handle, claims, key)
  if claims.is_scope_null then return ": scope is null" end
  if not claims.scopes and not key.scopes then return nil end
  local needed = handle:metadata():get("scope")
  if needed == PARAMETERS.any_scope then return nil end
  if type(needed) ~= "string" then return ": no scope covers this path" end
  if claims.scopes and not claims.scopes[needed] then return ": scope does not cover " .. needed end
  if key.scopes and not key.scopes[needed] then return ": its key does not cover " .. needed end
end

-- Returns the reason for which the token is refused, or nil.
local function refusal(handle)
  local headers = handle:headers()
  local claims = claims_of(headers:get("authorization") or "", headers)
  -- The header proves that jwt_authn has verified the token of this request, also if its claims are remembered: Envoy
  -- removes the header from clients' requests.
  if not claims or claims.subject ~= headers:get(PARAMETERS.subject_header) then return "" end
  note_ids(headers, claims)
  -- Refuses an empty kid, with which jwt_authn tries every key, and a key whose limits have not arrived yet.
  local key = PARAMETERS.keys[claims.kid]
  if not key then return "" end
  local tenant = claims.tenant
  -- jwt_authn refuses expired tokens before. This check holds for memoized claims should jwt_authn ever be skipped.
  if type(claims.expires) ~= "number" then return "" end
  if handle:timestamp() > (claims.expires + PARAMETERS.clock_skew_seconds + 1) * 1000 then return "" end
  local tenant_of_host = headers:get(PARAMETERS.tenant_header)
  -- Only routes at the instance's own name have a service for the token's tenant.
  local service = not tenant_of_host and handle:metadata():get(PARAMETERS.service_of_token)
  if service then note_tenant(handle, tenant, service) end
  if not service and tenant ~= tenant_of_host then return ": unexpected tenant: " .. tenant end
  if key.tenants and not key.tenants[tenant] then return ": its key may not speak for this tenant" end
  if key.not_after and handle:timestamp() >= key.not_after * 1000 then return ": its key is no longer accepted" end
  if claims.id and REVOKED[claims.id] then return ": revoked" end
  local reason = scope_refusal(handle, claims, key)
  if reason then return reason end
  note_end(handle, headers, claims)
  headers:remove("authorization")
  if headers:get("upgrade") then follow(handle, claims.expires, key.not_after) end
  if service then send_to(handle, service, tenant) end
end

function envoy_on_request(handle)
  local reason = refusal(handle)
  if reason then
    handle:respond({[":status"] = "401", ["content-type"] = "text/plain"}, PARAMETERS.bad_token .. reason)
  end
end
