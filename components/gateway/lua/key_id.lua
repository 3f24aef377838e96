-- Envoy's jwt_authn tries every key for a token without `kid`, or with an empty one. So a token's first part, which is JSON
-- in base64url, must have one. In the outermost object, a string before a colon is the name of a member. Envoy's parser
-- also accepts single quotes; tokens of ours have none outside of strings, so they are refused.

-- Returns the position after the string that begins at `start`, or nil.
local function after_string(text, start)
  local stop = start
  repeat
    stop = text:find('["\\]', stop + 1)
    if not stop then return nil end
    local is_escape = text:byte(stop) == 92
    if is_escape then stop = stop + 1 end
  until not is_escape
  return stop + 1
end

local names_key = memoized(function(header)
  if not is_simple(header) then return false end
  local text = decoded(header)
  local place, depth, is_named = 1, 0, false
  while true do
    local start, _, symbol = text:find('(["{}%[%]\'])', place)
    if not start then return is_named end
    place = start + 1
    if symbol == "'" then return false end
    if symbol == '"' then
      place = after_string(text, start)
      if not place then return false end
      local value = depth == 1 and text:match("^%s*:%s*()", place)
      if value and text:sub(start + 1, place - 2) == "kid" then
        if not text:find('^"[^"]', value) then return false end
        is_named = true
      end
    else
      depth = depth + ((symbol == "{" or symbol == "[") and 1 or -1)
    end
  end
end, PARAMETERS.header_bytes)
