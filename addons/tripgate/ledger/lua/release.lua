#!lua
-- Say that the live instance of a gateway has stopped: nobody need wait for it.
--
-- Another instance's claim is left alone. A settlement that comes all the same is a heartbeat again.
--
-- ARGV: gateway, instance.

local key = '{plan}:gateway:' .. ARGV[1]
if redis.call('HGET', key, 'instance') == ARGV[2] then
  redis.call('HSET', key, 'heard', '0')
end
return {'ok'}
