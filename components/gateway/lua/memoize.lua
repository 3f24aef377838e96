-- Caches a function's results by its first argument, a text. Parsing a token of 700 characters for each push would take
-- longer than everything else in a filter. Results that are false are not cached. Beyond `limit` bytes the cache is emptied.

local function memoized(compute, limit)
  local results, bytes = {}, 0
  return function(text, ...)
    local result = results[text]
    if result ~= nil then return result end
    result = compute(text, ...)
    if result then
      local more = #text + PARAMETERS.entry_bytes
      if bytes + more > limit then results, bytes = {}, 0 end
      results[text], bytes = result, bytes + more
    end
    return result
  end
end
