-- Spells the name that Envoy looks up. Envoy keeps an address for as long as requests use its name, even after the name is
-- gone. Clients of a deleted tenant would reach the next owner of the address. So two spellings of the name take turns:
-- while one is in use, the other expires (host_ttl) and is resolved again.

local function spelled(handle, name)
  local turn = math.floor(handle:timestamp() / (1000 * PARAMETERS.turn_seconds)) % 2
  return turn == 1 and name .. "." or name
end
