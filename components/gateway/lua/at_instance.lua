-- The first filter at the instance's own name. The tenant is unknown until the token is verified.

function envoy_on_request(handle)
  if PARAMETERS.per_address and is_from_busy_address(handle) then return end
  note_for_log(handle)
  if not in_host(handle, PARAMETERS.host) then
    refuse(handle, "404", "no such tenant")
    return
  end
  if is_too_large(handle) then return end
  has_credentials(handle)
end
