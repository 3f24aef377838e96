-- Closes the connection after a refusal of the gateway's own. Its client has shown no valid token, and the number of
-- connections is limited for all clients together. Answers of back ends leave the connection open.

function envoy_on_response(handle)
  if not handle:headers():get("x-envoy-upstream-service-time") then
    handle:streamInfo():drainConnectionUponCompletion()
  end
end
