-- Caches a function's results by its first argument, a text. Parsing a token of 700 characters for each push would take
-- longer than everything else in a filter. Results that are false are not cached; they come with their reason.
--
-- A result that is used moves to the newer of two tables. When that has half of `limit` bytes, the older one is dropped. So
-- texts that come once do not evict those in use.

local function memoized(compute, limit)
  local newer, older, bytes = {}, {}, 0
  return function(text, ...)
    local result, reason = newer[text], nil
    if result ~= nil then return result end
    result = older[text]
    if result == nil then result, reason = compute(text, ...) end
    if not result then return result, reason end
    local more = #text + PARAMETERS.entry_bytes
    if bytes + more > limit / 2 then newer, older, bytes = {}, newer, 0 end
    newer[text], bytes = result, bytes + more
    return result
  end
end
