#!lua flags=allow-oom
-- Fields of a hash get other names; what is under the new name already is added to.
--
-- Done again, or by two at once, it finds nothing any more: a lost answer doubles no byte.
--
-- ARGV: key, then old and new names in pairs. Returns how many were there.

local key, found = ARGV[1], 0
for i = 2, #ARGV, 2 do
  local volume = redis.call('HGET', key, ARGV[i])
  if volume then
    if not string.match(volume, '^%d+$') then
      return redis.error_reply('DAMAGED ' .. key)
    end
    redis.call('HINCRBY', key, ARGV[i + 1], volume)
    redis.call('HDEL', key, ARGV[i])
    found = found + 1
  end
end
return {found}
