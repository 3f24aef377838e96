-- Cuts a body of undeclared length that is larger than any may be, and answers 413 to it.
--
-- A request that has begun to be forwarded can no longer be refused here. So the back end gets a body that it must refuse:
-- one byte more than a push may have. That byte is NUL, which YAML and JSON never allow, and protobuf not where a field
-- begins. Otherwise Cortex and Loki would store rules without those that were cut off.

function envoy_on_request(handle)
  local rest = PARAMETERS.most_bytes + 1
  for chunk in handle:bodyChunks() do
    local size = chunk:length()
    if size >= rest then
      if rest > 0 then
        handle:streamInfo():dynamicMetadata():set(PARAMETERS.logged, "cut", true)
        handle:streamInfo():drainConnectionUponCompletion()
      end
      chunk:setBytes(rest > 1 and chunk:getBytes(0, rest - 1) .. "\0" or rest > 0 and "\0" or "")
    end
    rest = math.max(rest - size, 0)
  end
end

function envoy_on_response(handle)
  if not handle:headers():get("x-envoy-upstream-service-time") then return end
  local noted = handle:streamInfo():dynamicMetadata():get(PARAMETERS.logged)
  if noted and noted["cut"] then change(handle, "413", ("a request may have %d bytes: "):format(PARAMETERS.most_bytes)) end
end
