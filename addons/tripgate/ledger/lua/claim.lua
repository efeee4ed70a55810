#!lua
-- Become the one live instance of a gateway.
--
-- Rules
-- 1. State of a newer schema is left alone: 'newer', and which it is.
-- 2. Another instance that was heard of less than 10 s ago holds the gateway ('fenced'), unless
--    the caller says that it was its own previous run. The distance counts both ways: a clock
--    that was stepped back must not fence for years.
-- 3. From here on only this instance is granted anything.
--
-- ARGV: gateway, instance, previous instance or '', now (s), schema.

local PREFIX = '{plan}:'
local gateway, instance, previous = ARGV[1], ARGV[2], ARGV[3]
local now, schema = tonumber(ARGV[4]), tonumber(ARGV[5])
local key = PREFIX .. 'gateway:' .. gateway

local stored = redis.call('GET', PREFIX .. 'schema')
if stored and not (tonumber(stored) and tonumber(stored) <= schema) then
  return {'newer', stored}
end
local owner = redis.call('HMGET', key, 'instance', 'heard')
local foreign = owner[1] and owner[1] ~= instance and owner[1] ~= previous
if foreign and math.abs(now - (tonumber(owner[2]) or 0)) < 10 then
  return {'fenced'}
end
redis.call('HSET', key, 'instance', instance, 'heard', ARGV[4])
redis.call('SET', PREFIX .. 'schema', ARGV[5])
return {'ok'}
