#!lua flags=no-writes,allow-oom
-- Read hashes at one instant. (MULTI would be refused where memory is full.)
--
-- ARGV: keys. Returns the fields and values of each.

local found = {}
for i, key in ipairs(ARGV) do
  found[i] = redis.call('HGETALL', key)
end
return found
