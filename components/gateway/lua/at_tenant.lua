-- The first filter at the tenants' names. It takes the tenant from the host.

function envoy_on_request(handle)
  if PARAMETERS.per_address and is_from_busy_address(handle) then return end
  local tenant = in_host(handle, PARAMETERS.host)
  local service = handle:metadata():get(PARAMETERS.service) or PARAMETERS.api
  note_for_log(handle)
  if not tenant then
    refuse(handle, "404", "no such tenant")
    return
  end
  note_tenant(handle, tenant, service)
  send_to(handle, service, tenant)
  if is_too_large(handle) then return end
  has_credentials(handle)
end
