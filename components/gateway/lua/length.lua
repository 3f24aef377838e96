-- Notes the length of a body for the byte limit. The limit skips a count of zero, so at least one byte is counted.

local function note_length(headers, length)
  headers:replace(PARAMETERS.bytes_header, length < 1 and "1" or tostring(length))
end
