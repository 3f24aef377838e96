-- Sets the length of the body for the byte limit, and the name that Envoy looks up. If the tenant has a byte limit, a body
-- of undeclared length is buffered by now, so its length is known. The limit skips a count of zero, so at least one byte
-- is counted.

-- Adds the version of the addresses that let a websocket in to the version of the keys and revocations.
local function note_addresses(handle, headers)
  local verdict = handle:streamInfo():dynamicMetadata():get(PARAMETERS.addresses)
  local version = verdict and verdict["enforced_effective_policy_id"] or ""
  headers:replace(PARAMETERS.version_header, (headers:get(PARAMETERS.version_header) or "") .. version)
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local length = tonumber(headers:get("content-length") or "") or 0
  headers:replace(PARAMETERS.bytes_header, length < 1 and "1" or tostring(length))
  -- Envoy keeps an address for as long as requests use its name, even after the name is gone. Clients of a deleted tenant
  -- would reach the next owner of the address. So two spellings of the name take turns: while one is in use, the other
  -- expires (host_ttl) and is resolved again. The name is set here because no wait for the client follows.
  local name = headers:get(PARAMETERS.upstream_header)
  local turn = math.floor(handle:timestamp() / (1000 * PARAMETERS.turn_seconds)) % 2
  if name and turn == 1 then headers:replace(PARAMETERS.upstream_header, name .. ".") end
  if headers:get("upgrade") then note_addresses(handle, headers) end
end
