-- The host name of a request, and the gateway's own answers.

-- Returns what `pattern` captures of the host, or nil.
local function in_host(handle, pattern)
  local host = handle:headers():get(":authority") or ""
  if #host > PARAMETERS.longest_host then return nil end
  host = host:lower():gsub(":%d+$", "")
  return host:match(pattern)
end

local function refuse(handle, status, text, challenge, retry_after)
  local headers = {[":status"] = status, ["content-type"] = "text/plain"}
  headers["www-authenticate"], headers["retry-after"] = challenge, retry_after
  handle:respond(headers, text)
end

-- Returns whether the declared length is beyond the limit; the request is answered then. Otherwise the length is noted; that
-- of a body of undeclared length comes later, from before_bytes.lua.
local function is_too_large(handle)
  local headers = handle:headers()
  local length = tonumber(headers:get("content-length") or "")
  if not length then return false end
  if length > PARAMETERS.most_bytes then
    refuse(handle, "413", ("a request may have %d bytes"):format(PARAMETERS.most_bytes))
    return true
  end
  note_length(headers, length)
  return false
end

-- Closes the connection too: a client that could go on using it would be under no limit.
local function is_from_busy_address(handle)
  if handle:headers():get(PARAMETERS.connection_header) ~= PARAMETERS.too_many_from_address then return false end
  handle:streamInfo():drainConnectionUponCompletion()
  refuse(handle, "429", "too many new connections from your address", nil, PARAMETERS.retry_after)
  return true
end
