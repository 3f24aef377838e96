-- Runs for requests of undeclared length and for websockets. If the tenant has a byte limit, the body is buffered by now, so
-- its length is known. The wait for it can be longer than a turn, so the name is spelled again.

-- Adds the version of the addresses that let a websocket in to the version of the keys and revocations.
local function note_addresses(handle, headers)
  local verdict = handle:streamInfo():dynamicMetadata():get(PARAMETERS.addresses)
  local version = verdict and verdict["enforced_effective_policy_id"] or ""
  headers:replace(PARAMETERS.version_header, (headers:get(PARAMETERS.version_header) or "") .. version)
end

function envoy_on_request(handle)
  local headers = handle:headers()
  note_length(headers, tonumber(headers:get("content-length") or "") or 0)
  local name = headers:get(PARAMETERS.upstream_header)
  if name then headers:replace(PARAMETERS.upstream_header, spelled(handle, (name:gsub("%.$", "")))) end
  if headers:get("upgrade") then note_addresses(handle, headers) end
end
