-- Notes the tenant and the API of a request for the access log.

local function note_tenant(handle, tenant, api)
  local metadata = handle:streamInfo():dynamicMetadata()
  metadata:set(PARAMETERS.logged, "tenant", tenant)
  metadata:set(PARAMETERS.logged, "api", api)
end
