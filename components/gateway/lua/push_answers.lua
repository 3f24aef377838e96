-- Changes a back end's error answers to pushes so that clients retry, and its answer to a body that was cut.

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

function envoy_on_response(handle)
  local headers = handle:headers()
  if not headers:get("x-envoy-upstream-service-time") then return end
  local noted = handle:streamInfo():dynamicMetadata():get(PARAMETERS.logged)
  if noted and noted["cut"] then
    change(handle, "413", ("a request may have %d bytes: "):format(PARAMETERS.most_bytes))
    return
  end
  local status = headers:get(":status")
  if status < "400" then return end
  if handle:metadata():get(PARAMETERS.otlp) then
    -- Clients send again after 429 and 503, but not after 500 (OTLP 1.9, 'Failures').
    if status == "500" then change(handle, "503", "500-to-503: ") end
    return
  end
  if status == "429" then change(handle, "503", "429-to-503: ") end
  if PARAMETERS.legacy_errors and status:match("^5") then change(handle, "409", "500-to-409: ") end
end
