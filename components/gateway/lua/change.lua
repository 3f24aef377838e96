-- Changes status and text of a back end's answer.

local function change(handle, status, text)
  local headers = handle:headers()
  headers:replace(":status", status)
  -- Envoy answers 500 for a body larger than its buffer. Error bodies are short; of a longer answer only the status changes.
  local length_of_body = tonumber(headers:get("content-length") or "")
  if not length_of_body or length_of_body > PARAMETERS.most_error_bytes then return end
  local body = handle:body(true)
  local length = body:length()
  text = text .. (length > 0 and body:getBytes(0, length) or "")
  body:setBytes(text)
  headers:replace("content-length", tostring(#text))
end
