#!lua
-- Put a new book of settings in place of the version that the editor saw.
--
-- Rules
-- 1. Another version than expected: nothing is done ('lost'), unless this very edit made it and
--    only the answer was lost.
-- 2. State of a newer schema is left alone ('newer').
-- 3. Book, version and audit entry change together; who listens is told.
--
-- 4. Devices that the new book folds into others (merged, forgotten): their counters and buckets
--    are added to those of the heir in the same step, and rule 7 of common.lua holds from now on.
--    A period that has turned for one of the two counts as it does for the one that is ahead.
-- 5. A bucket that the heir has too gets no more fields than the bound of its level; the rest
--    goes to other|u and other|d. A damaged field is left out: nothing may fail after a write.
-- 6. A heap of FOLDS devices is remembered as gone, and none that the new book knows.
--
-- ARGV: expected version, book, edit id, actor, action, detail, at (s), schema,
--   then: device that is gone, its heir, …

local AUDIT, FOLDS, MOST, MOST_HOSTS, COUNTED = 10000, 1000, 512, 64, {'used', 'reserved'}

-- Rule 4: the counters.
local function fold_counters(gone, into)
  local from, to = scope('device:' .. gone).now, scope('device:' .. into)
  for field, start in pairs(from) do
    local period = string.match(field, '^(%l+)%.start$')
    local known = period and to.now[period .. '.start']
    if period and (not known or known < start) then
      for _, name in ipairs({'start', 'guess', unpack(COUNTED)}) do
        put(to, period .. '.' .. name, from[period .. '.' .. name])
      end
    elseif known == start then
      for _, name in ipairs(COUNTED) do
        add(to, period .. '.' .. name, from[period .. '.' .. name] or 0)
      end
    end
  end
  add(to, 'life.used', from['life.used'] or 0)
  scopes['device:' .. gone] = nil
end

-- Rule 5.
local function fold_bucket(from, into)
  if redis.call('EXISTS', into) == 0 then
    redis.call('RENAME', from, into)
    return
  end
  local most = string.find(from, ':hosts:', 1, true) and MOST_HOSTS or MOST
  local raw = redis.call('HGETALL', from)
  for i = 1, #raw, 2 do
    local field, direction = raw[i], string.match(raw[i], '|[ud]$')
    if direction and redis.call('HLEN', into) >= most
      and redis.call('HEXISTS', into, field) == 0 then
      field = 'other' .. direction
    end
    redis.pcall('HINCRBY', into, field, raw[i + 1])
  end
  redis.call('DEL', from)
end

local function fold_buckets(gone, into)
  local prefix, cursor = PREFIX .. 'use:' .. gone .. ':', '0'
  repeat
    local page = redis.call('SCAN', cursor, 'MATCH', prefix .. '*', 'COUNT', 1000)
    cursor = page[1]
    for _, key in ipairs(page[2]) do
      if redis.call('EXISTS', key) == 1 then  -- SCAN may name a key twice
        fold_bucket(key, PREFIX .. 'use:' .. into .. ':' .. string.sub(key, #prefix + 1))
      end
    end
  until cursor == '0'
end

-- Rule 6.
local function remember(gone, into)
  for old, now in pairs(heirs) do
    if now == gone then
      redis.call('HSET', FOLDED, old, into)
      heirs[old] = into
    end
  end
  redis.call('HSET', FOLDED, gone, into)
  redis.call('HDEL', PREFIX .. 'seen', gone)
end

local function forget_folds()
  local size = redis.call('HLEN', FOLDED)
  for old in pairs(heirs) do
    if size > FOLDS or string.find(ARGV[2], '"' .. old .. '"', 1, true) then
      redis.call('HDEL', FOLDED, old)
      size = size - 1
    end
  end
end

local schema = redis.call('GET', PREFIX .. 'schema')
if schema and not (tonumber(schema) and tonumber(schema) <= tonumber(ARGV[8])) then
  return {'newer', schema}
end
local version = redis.call('GET', PREFIX .. 'version') or '0'
if version ~= ARGV[1] then
  local mine = redis.call('GET', PREFIX .. 'edit') == ARGV[3]
  return {mine and 'ok' or 'lost'}
end
heir('')
for i = 9, #ARGV, 2 do
  fold_counters(ARGV[i], ARGV[i + 1])
end

-- From here on only writes.
local new = string.format('%.0f', tonumber(version) + 1)
redis.call('XADD', PREFIX .. 'audit', 'MAXLEN', '~', AUDIT, '*',
  'at', ARGV[7], 'actor', ARGV[4], 'action', ARGV[5], 'detail', ARGV[6])
redis.call('SET', PREFIX .. 'book', ARGV[2])
redis.call('SET', PREFIX .. 'version', new)
redis.call('SET', PREFIX .. 'edit', ARGV[3])
save_scopes()
for i = 9, #ARGV, 2 do
  redis.call('DEL', PREFIX .. 'scope:device:' .. ARGV[i])
  fold_buckets(ARGV[i], ARGV[i + 1])
  remember(ARGV[i], ARGV[i + 1])
end
forget_folds()
redis.call('PUBLISH', PREFIX .. 'changed', new)
return {'ok'}
