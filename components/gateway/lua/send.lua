-- Sets the upstream and the tenant of a request. It overwrites headers of the client.

local function send_to(handle, service, tenant)
  local headers = handle:headers()
  headers:replace(PARAMETERS.tenant_header, tenant)
  headers:replace(PARAMETERS.upstream_header, spelled(handle, service .. "." .. tenant .. "-tenant.svc.cluster.local"))
  headers:replace("x-scope-orgid", tenant)
end
