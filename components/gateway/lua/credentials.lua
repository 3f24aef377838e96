-- Checks the form of the Authorization header, which costs less than verifying a token.

local FORM = "Authorization header format invalid. Expecting 'Bearer <AUTHTOKEN>'"
-- The scheme may have any case (RFC 9110, 11.1). jwt_authn knows `Bearer` alone, so other cases are replaced by it.
local SCHEME = "Bearer "
local BASIC = "^[Bb][Aa][Ss][Ii][Cc] ([%w+/]+=?=?)$"
local OTHER_CASE = "^[Bb][Ee][Aa][Rr][Ee][Rr] "
-- A file with the password often ends with a line break, which clients send too.
local PASSWORD = "^[^:]*:([%w%-_%.]*)\r?\n?$"

-- A browser adds a stored password also to requests that another site makes it send.
local function is_another_site(headers)
  local site, method = headers:get("sec-fetch-site"), headers:get(":method")
  return (site == "cross-site" or site == "same-site") and method ~= "GET" and method ~= "HEAD"
end

local OTHERS = {}  -- by byte: 1 for those that base64url does not have, and 0
for symbol = 0, 255 do OTHERS[symbol] = string.char(symbol):find("[%w%-_]") and 0 or 1 end

-- Returns whether the text has base64url, and nothing else, between two places. The loop has no branches, like that of
-- `is_simple`: a pattern takes three times as long.
local function is_base64url(text, first, last)
  local others = 0
  for place = first, last do others = others + OTHERS[text:byte(place)] end
  return first <= last and others == 0
end

-- Returns the first two parts of `Bearer <token>`, or nil for another form.
local function parts_of(credentials)
  local start = credentials:match("^Bearer ()")
  local dot = start and credentials:find(".", start, true)
  local second_dot = dot and credentials:find(".", dot + 1, true)
  if not second_dot then return nil end
  local are_parts = is_base64url(credentials, start, dot - 1)
    and is_base64url(credentials, dot + 1, second_dot - 1)
    and is_base64url(credentials, second_dot + 1, #credentials)
  if are_parts then return credentials:sub(start, dot - 1), credentials:sub(dot + 1, second_dot - 1) end
end

-- Returns whether credentials have the form of a token, and otherwise the text of the answer. It is the same for the same
-- credentials, so a client's are checked once and not for each push.
local has_form = memoized(function(credentials)
  if #credentials > #SCHEME + PARAMETERS.longest_token and credentials:find("^Bearer ") then
    return false, PARAMETERS.bad_token
  end
  local header, claims = parts_of(credentials)
  if not header then return false, FORM end
  if #header > PARAMETERS.longest_header or not names_key(header) or not is_simple(claims) then
    return false, PARAMETERS.bad_token
  end
  return true
end, PARAMETERS.form_bytes)

-- Returns whether the credentials have the right form. If they have not, the request is answered.
local function has_credentials(handle)
  local headers = handle:headers()
  local credentials = headers:get("authorization")
  if not credentials or credentials == "" then
    local challenge = handle:metadata():get(PARAMETERS.challenge)
    refuse(handle, "401", "Authorization header missing or invalid", challenge)
    return false
  end
  local basic = #credentials <= PARAMETERS.longest_basic and credentials:match(BASIC)
  if basic then
    if is_another_site(headers) then
      refuse(handle, "403", "another site may not send this")
      return false
    end
    credentials = SCHEME .. (decoded(basic):match(PASSWORD) or "")
    headers:replace("authorization", credentials)
  elseif not credentials:find("^Bearer ") and credentials:find(OTHER_CASE) then
    credentials = SCHEME .. credentials:sub(#SCHEME + 1)
    headers:replace("authorization", credentials)
  end
  local is_token, answer = has_form(credentials)
  if is_token and headers:getNumValues("authorization") ~= 1 then is_token, answer = false, FORM end
  if not is_token then refuse(handle, "401", answer) end
  return is_token
end
