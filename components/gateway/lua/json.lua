-- Reads an object in JSON (RFC 8259), and some texts that are none and that Envoy refuses. An error, or a name that occurs
-- twice, gives nil: so no text means one thing here and another to Envoy, whose parser chooses the key that verifies a token.

local NULL, NESTED = {}, {}  -- stand for null, and for an object or a list inside of the object
local WORDS = {["true"] = true, ["false"] = false, null = NULL}
local ESCAPES = {b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/"}

local function in_utf8(code)
  if code < 0x80 then return string.char(code) end
  local rest = string.char(0x80 + code % 64)
  if code < 0x800 then return string.char(0xC0 + math.floor(code / 64)) .. rest end
  rest = string.char(0x80 + math.floor(code / 64) % 64) .. rest
  if code < 0x10000 then return string.char(0xE0 + math.floor(code / 4096)) .. rest end
  return string.char(0xF0 + math.floor(code / 262144), 0x80 + math.floor(code / 4096) % 64) .. rest
end

-- Returns the character of the escape at `start`, and the place after it; nil for none that is valid.
local function escaped(text, start)
  local symbol, digits = text:match("^\\(.)(%x?%x?%x?%x?)", start)
  if symbol ~= "u" then return ESCAPES[symbol], ESCAPES[symbol] and start + 2 end
  local code = #digits == 4 and tonumber(digits, 16)
  if not code or code >= 0xDC00 and code < 0xE000 then return nil end
  if code < 0xD800 or code >= 0xE000 then return in_utf8(code), start + 6 end
  local low = text:match("^\\u([dD][c-fC-F]%x%x)", start + 6)  -- the second half of a character beyond U+FFFF
  if not low then return nil end
  return in_utf8(0x10000 + (code - 0xD800) * 1024 + tonumber(low, 16) - 0xDC00), start + 12
end

-- Returns the text of the string that begins at `start`, and the place after it; nil for none that is valid.
local function string_at(json, start)
  local parts, place = {}, start + 1
  while true do
    local stop = json:find('["\\]', place)
    if not stop then return nil end
    parts[#parts + 1] = json:sub(place, stop - 1)
    if json:sub(stop, stop) == '"' then return table.concat(parts), stop + 1 end
    parts[#parts + 1], place = escaped(json, stop)
    if not place then return nil end
  end
end

local value_at

-- Returns what begins after the brace or bracket before `start`, and the place after the one that ends it: the members of an
-- object by name, or an empty table for a list; nil for none that is valid.
local function members_at(json, start, ending)
  local members, place = {}, json:match("^%s*()", start)
  if json:sub(place, place) == ending then return members, place + 1 end
  while true do
    local name, value, symbol
    if ending == "}" then
      if json:sub(place, place) ~= '"' then return nil end
      name, place = string_at(json, place)
      place = name and json:match("^%s*:%s*()", place)
      if not place or members[name] ~= nil then return nil end
    end
    value, place = value_at(json, place)
    if value == nil then return nil end
    if name then members[name] = value end
    symbol, place = json:match("^%s*([,}%]])%s*()", place)
    if symbol == ending then return members, place end
    if symbol ~= "," then return nil end
  end
end

function value_at(json, place)
  local symbol = json:sub(place, place)
  if symbol == '"' then return string_at(json, place) end
  if symbol == "{" or symbol == "[" then
    local members, after = members_at(json, place + 1, symbol == "{" and "}" or "]")
    return members and NESTED, after
  end
  local word, number, after
  word, after = json:match("^(%a+)()", place)
  if word then return WORDS[word], after end
  number, after = json:match("^(%-?%d[%d%.eE+-]*)()", place)
  return number and tonumber(number), after
end

-- Returns the members of an object by name, or nil. An error inside would let Envoy go on with the request.
local function object_in(json)
  local start = json:match("^%s*{()")
  if not start then return nil end
  local is_read, members, after = pcall(members_at, json, start, "}")
  if is_read and members and not json:find("%S", after) then return members end
end
