-- Sets the length of the body for the byte limit, and the name that Envoy looks up. If the tenant has a byte limit, a body
-- of undeclared length is buffered by now, so its length is known. The limit skips a count of zero, so at least one byte
-- is counted.

-- Forwards a body of undeclared length up to one byte beyond the limit. The back end then refuses it as too large: a
-- request that has begun to be forwarded can no longer be answered here.
local function cut(handle)
  local rest = PARAMETERS.most_bytes + 1
  for chunk in handle:bodyChunks() do
    local size = chunk:length()
    if size > rest then chunk:setBytes(rest > 0 and chunk:getBytes(0, rest) or "") end
    if rest > 0 and size >= rest then
      handle:streamInfo():dynamicMetadata():set(PARAMETERS.logged, "cut", true)
      handle:streamInfo():drainConnectionUponCompletion()
    end
    rest = math.max(rest - size, 0)
  end
end

-- Adds the version of the addresses that let a websocket in to the version of the keys and revocations.
local function note_addresses(handle, headers)
  local verdict = handle:streamInfo():dynamicMetadata():get(PARAMETERS.addresses)
  local version = verdict and verdict["enforced_effective_policy_id"] or ""
  headers:replace(PARAMETERS.version_header, (headers:get(PARAMETERS.version_header) or "") .. version)
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local declared = headers:get("content-length")
  local length = tonumber(declared or "") or 0
  headers:replace(PARAMETERS.bytes_header, length < 1 and "1" or tostring(length))
  -- Envoy keeps an address for as long as requests use its name, even after the name is gone. Clients of a deleted tenant
  -- would reach the next owner of the address. So two spellings of the name take turns: while one is in use, the other
  -- expires (host_ttl) and is resolved again. The name is set here because no wait for the client follows.
  local name = headers:get(PARAMETERS.upstream_header)
  local turn = math.floor(handle:timestamp() / (1000 * PARAMETERS.turn_seconds)) % 2
  if name and turn == 1 then headers:replace(PARAMETERS.upstream_header, name .. ".") end
  local is_websocket = headers:get("upgrade")
  if is_websocket then note_addresses(handle, headers) end
  -- A websocket goes on beyond the length that it declares.
  if is_websocket or not declared then cut(handle) end
end
