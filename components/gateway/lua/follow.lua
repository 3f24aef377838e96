-- Limits a websocket, which goes on after this filter has run. The listener behind this one ends it: by the time in
-- `grpc-timeout`, which Envoy can take as the longest duration of any request, and when keys or revocations change.

local MOST_SECONDS = 99999999  -- the header has 8 digits at most

local function follow(handle, expires, not_after)
  local ends = expires + PARAMETERS.clock_skew_seconds
  if not_after and not_after < ends then ends = not_after end
  local seconds = math.ceil(ends - handle:timestamp() / 1000)
  seconds = math.max(1, math.min(seconds, MOST_SECONDS))
  local headers = handle:headers()
  headers:replace("grpc-timeout", ("%dS"):format(seconds))
  headers:replace(PARAMETERS.version_header, PARAMETERS.version)
end
