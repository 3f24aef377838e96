-- Notes what the access log may show of a request. A JWT begins with `eyJ`, which is `{"` in base64url. Envoy has normalized
-- the path before, so it has no percent-encoded letters.

local METHODS = {GET = 1, HEAD = 1, POST = 1, PUT = 1, PATCH = 1, DELETE = 1, OPTIONS = 1}

local function note_for_log(handle)
  local headers = handle:headers()
  local path = (headers:get(":path") or ""):sub(1, PARAMETERS.read_path_characters)
  path = path:gsub("[?#].*", ""):gsub("eyJ[%w%-_%.%%=]*", "TOKEN"):sub(1, PARAMETERS.logged_path_characters)
  local method = headers:get(":method") or ""
  local metadata = handle:streamInfo():dynamicMetadata()
  metadata:set(PARAMETERS.logged, "path", path)
  metadata:set(PARAMETERS.logged, "method", METHODS[method] and method or "other")
end
