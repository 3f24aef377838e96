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

local function is_too_large(handle)
  local length = tonumber(handle:headers():get("content-length") or "") or 0
  if length <= PARAMETERS.most_bytes then return false end
  refuse(handle, "413", ("a request may have %d bytes"):format(PARAMETERS.most_bytes))
  return true
end

-- Closes the connection too: a client that could go on using it would be under no limit.
local function is_from_busy_address(handle)
  if handle:headers():get(PARAMETERS.connection_header) ~= PARAMETERS.too_many_from_address then return false end
  handle:streamInfo():drainConnectionUponCompletion()
  refuse(handle, "429", "too many new connections from your address", nil, PARAMETERS.retry_after)
  return true
end
