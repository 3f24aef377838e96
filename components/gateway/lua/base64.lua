-- Decodes base64 and base64url (RFC 4648), with or without padding.

local SYMBOLS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local VALUES = {[("-"):byte()] = 62, [("_"):byte()] = 63}
for place = 1, #SYMBOLS do VALUES[SYMBOLS:byte(place)] = place - 1 end

local function decoded(text)
  text = text:match("^[%w+/_%-]+") or ""
  local bits, count, out, written = 0, 0, {}, 0
  for place = 1, #text do
    bits, count = bits * 64 + VALUES[text:byte(place)], count + 6
    if count >= 8 then
      count, written = count - 8, written + 1
      local rest = 2 ^ count
      out[written] = string.char(math.floor(bits / rest))
      bits = bits % rest
    end
  end
  return table.concat(out)
end
