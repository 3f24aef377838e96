-- Returns whether a part of a token has no more brackets and separators than the limits allow. Envoy parses a token into a
-- tree for its cache, with 100 bytes for each bracket or number. The count includes brackets and separators within strings.
-- This runs for each request, so the loop has no branches: LuaJIT compiles it into one trace.

local BRACKET, SEPARATOR = 2 ^ 16, 1
local WEIGHTS = {}
for symbol = 0, 255 do WEIGHTS[symbol] = 0 end
for symbol in ("[{"):gmatch(".") do WEIGHTS[symbol:byte()] = BRACKET end
for symbol in (",:"):gmatch(".") do WEIGHTS[symbol:byte()] = SEPARATOR end

local function is_simple(part)
  local band, lshift, rshift = bit.band, bit.lshift, bit.rshift
  local count, text = 0, part .. "AAA"  -- zeros complete the last four characters: they add none of these symbols
  for place = 1, #part, 4 do
    local first, second, third, fourth = text:byte(place, place + 3)
    local bytes = lshift(VALUES[first], 18) + lshift(VALUES[second], 12) + lshift(VALUES[third], 6) + VALUES[fourth]
    count = count + WEIGHTS[rshift(bytes, 16)] + WEIGHTS[band(rshift(bytes, 8), 255)] + WEIGHTS[band(bytes, 255)]
  end
  return count % BRACKET <= PARAMETERS.most_separators and count / BRACKET < PARAMETERS.most_brackets + 1
end
