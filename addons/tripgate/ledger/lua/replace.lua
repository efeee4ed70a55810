#!lua
-- Put a new book of settings in place of the version that the editor saw.
--
-- Rules
-- 1. Another version than expected: nothing is done ('lost'), unless this very edit made it and
--    only the answer was lost.
-- 2. State of a newer schema is left alone ('newer').
-- 3. Book, version and audit entry change together; who listens is told.
--
-- ARGV: expected version, book, edit id, actor, action, detail, at (s), schema.

local PREFIX = '{plan}:'
local AUDIT = 10000

local schema = redis.call('GET', PREFIX .. 'schema')
if schema and not (tonumber(schema) and tonumber(schema) <= tonumber(ARGV[8])) then
  return {'newer', schema}
end
local version = redis.call('GET', PREFIX .. 'version') or '0'
if version ~= ARGV[1] then
  local mine = redis.call('GET', PREFIX .. 'edit') == ARGV[3]
  return {mine and 'ok' or 'lost'}
end
local new = string.format('%.0f', tonumber(version) + 1)
redis.call('XADD', PREFIX .. 'audit', 'MAXLEN', '~', AUDIT, '*',
  'at', ARGV[7], 'actor', ARGV[4], 'action', ARGV[5], 'detail', ARGV[6])
redis.call('SET', PREFIX .. 'book', ARGV[2])
redis.call('SET', PREFIX .. 'version', new)
redis.call('SET', PREFIX .. 'edit', ARGV[3])
redis.call('PUBLISH', PREFIX .. 'changed', new)
return {'ok'}
