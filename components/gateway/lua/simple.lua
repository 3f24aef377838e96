-- Returns whether a part of a token has no more brackets and separators than the limits allow. Envoy parses a token into a
-- tree, once for its cache and once for each request, with 100 bytes for each bracket or number. The count includes
-- brackets and separators within strings.

local function is_simple(part)
  local bits, count, brackets, separators = 0, 0, 0, 0
  for place = 1, #part do
    bits, count = bits * 64 + VALUES[part:byte(place)], count + 6
    if count >= 8 then
      count = count - 8
      local rest = 2 ^ count
      local symbol = math.floor(bits / rest)
      bits = bits % rest
      if symbol == 91 or symbol == 123 then brackets = brackets + 1 end
      if symbol == 44 or symbol == 58 then separators = separators + 1 end
    end
  end
  return brackets <= PARAMETERS.most_brackets and separators <= PARAMETERS.most_separators
end
