-- Envoy's jwt_authn tries every key for a token without `kid`, or with an empty one. So a token's first part, which is JSON
-- in base64url, must have one.

local names_key = memoized(function(header)
  local members = is_simple(header) and object_in(decoded(header))
  return members and type(members.kid) == "string" and members.kid ~= "" or false
end, PARAMETERS.header_bytes)
