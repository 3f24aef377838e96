-- Refuses a closed path. The token is verified and the tenant's name is resolved by now, so another reason would have been
-- given before: without a token, nothing tells whether a tenant exists.

function envoy_on_request(handle)
  local headers = {[":status"] = "404", ["content-type"] = "text/plain"}
  handle:respond(headers, "this path is not open")
end
