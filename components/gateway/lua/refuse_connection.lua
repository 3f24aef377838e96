-- Refuses the first request of a connection beyond its tenant's rate, and closes the connection. A client that could go on
-- using it would be under no limit.

function envoy_on_request(handle)
  handle:streamInfo():drainConnectionUponCompletion()
  local headers = {[":status"] = "429", ["content-type"] = "text/plain", ["retry-after"] = PARAMETERS.retry_after}
  handle:respond(headers, "too many new connections of this tenant")
end
