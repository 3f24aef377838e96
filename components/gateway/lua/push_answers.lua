-- Changes a back end's error answers to pushes so that clients retry. Other answers do not reach this filter.

function envoy_on_response(handle)
  local headers = handle:headers()
  if not headers:get("x-envoy-upstream-service-time") then return end
  local status = headers:get(":status")
  if handle:metadata():get(PARAMETERS.otlp) then
    -- Clients send again after 429 and 503, but not after 500 (OTLP 1.9, 'Failures').
    if status == "500" then change(handle, "503", "500-to-503: ") end
    return
  end
  if status == "429" then change(handle, "503", "429-to-503: ") end
  if PARAMETERS.legacy_errors and status:match("^5") then change(handle, "409", "500-to-409: ") end
end
