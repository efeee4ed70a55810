#!lua flags=allow-oom
-- Record what leases have used in all, and where the new bytes went. Never refused: bytes that
-- moved are recorded past a limit (an overrun), and also when Redis is out of memory.
--
-- Rules
-- 1. new = max(0, used - settled). The reserve falls by what the lease no longer holds; new bytes
--    count in the periods that the lease stands in, and in the life of its targets.
-- 2. Amounts are cumulative: a repeated or late row finds nothing new and changes nothing.
-- 3. The final row closes the lease and releases the rest. The closed record stays, so that
--    repeats are harmless, for KEPT seconds of the gateway's own contact with the ledger: a
--    gateway that was off for days may still repeat what it said last.
-- 4. A lease that is not known (the store lost it) is made from the row: granted as it says,
--    settled at zero, standing where the row counts, but not in a period that is over.
-- 5. new == parts: the increments; new > parts: these, and the difference to every rest bucket;
--    0 < new < parts: all of it to every rest bucket.
-- 6. A bucket gets its time to live when it is new. When it has `most` fields (the largest bound
--    that this call names for it), bytes of further fields that end in |u or |d go to other|u and
--    other|d (two more at most).
-- 7. Plan counters count what the seller bills (rule 8 of common.lua), all else what moved.
-- 8. A row of the live instance is its heartbeat; an old instance's rows count, its heart does not.
--
-- ARGV: JSON {gateway, instance, now, seen: {device: now}, rows: [[lease, device, granted, used,
--   final, trusted, limits: [[target, period, start], ...], parts, increments, rest,
--   [uplink, session, step] or null], ...]},
--   increments and rest: [[bucket, ttl or 0, most or 0, [field, amount, ...]], ...]
-- Returns the new bytes of each row.

local KEPT, GAP, PURGE, SEEN = 600, 5, 100, 400
local ask = cjson.decode(ARGV[1])
local buckets, closed, fresh = {}, {}, {}

-- Rule 4.
local function place(record, limits, trusted)
  for _, limit in ipairs(limits) do
    local target, period, start = renamed(limit[1]), limit[2], limit[3]
    local current = turn(target, period, start, trusted)
    record.at[target .. ' ' .. period] = {target, period, start > current and current or start}
  end
end

local function collect(increments, amount)
  for _, increment in ipairs(increments) do
    local name = renamed(increment[1])
    local bucket = buckets[name]
    if not bucket then
      bucket = {key = PREFIX .. name, ttl = increment[2], most = 0, fields = {}, plus = {}}
      buckets[name] = bucket
    end
    bucket.most = math.max(bucket.most, increment[3])
    for i = 1, #increment[4], 2 do
      local field = increment[4][i]
      if not bucket.plus[field] then
        bucket.fields[#bucket.fields + 1] = field
      end
      bucket.plus[field] = (bucket.plus[field] or 0) + (amount or increment[4][i + 1])
    end
  end
end

-- Rule 5.
local function spread(new, parts, increments, rest)
  if new == 0 then
    return
  elseif new < parts then
    collect(rest, new)
  else
    collect(increments)
    if new > parts then
      collect(rest, new - parts)
    end
  end
end

local function settle(row)
  local id, device, granted, used, final, trusted, limits = unpack(row, 1, 7)
  local record = lease(id)
  if not record.known then
    place(record, limits, trusted)
    record.known = true
  end
  record.device = heir(device) or record.device or device
  local before, open = held(record), record.open
  local new = math.max(0, used - record.settled)
  record.granted = math.max(record.granted, granted)
  record.settled = record.settled + new
  record.open = open and not final
  if open and final then
    closed[#closed + 1] = record
  end
  local bills = billed(record, type(row[11]) == 'table' and row[11] or nil, new)
  post(record, held(record) - before, new, bills)
  local targets = {}
  for _, spot in pairs(record.at) do
    targets[spot[1]] = true
  end
  for target in pairs(targets) do
    add(scope(target), 'life.used', bills[target] or new)
  end
  spread(new, row[8], row[9], row[10])
  return digits(new)
end

-- What the fields of a bucket hold, false where there is none.
local function present(bucket)
  local found, names = {}, {'other|u', 'other|d', unpack(bucket.fields)}
  for i = 1, #names, 1000 do
    local last = math.min(i + 999, #names)
    local values = redis.call('HMGET', bucket.key, unpack(names, i, last))
    for j = i, last do
      local value = values[j - i + 1]
      found[names[j]] = value and number(value, bucket.key)
    end
  end
  return found
end

-- Rule 6: the new values of a bucket.
local function total(bucket)
  local size, values = redis.call('HLEN', bucket.key), present(bucket)
  local changed = {}
  bucket.new = size == 0
  for _, field in ipairs(bucket.fields) do
    local direction = string.match(field, '|[ud]$')
    local full = bucket.most > 0 and size >= bucket.most
    local name = field
    if full and direction and not values[field] then
      name = 'other' .. direction
    end
    if not values[name] then
      size = size + 1
    end
    values[name] = (values[name] or 0) + bucket.plus[field]
    changed[name] = true
  end
  bucket.values = {}
  for name in pairs(changed) do
    bucket.values[#bucket.values + 1] = name
    bucket.values[#bucket.values + 1] = digits(values[name])
  end
end

-- Rule 8: seconds of contact so far, or nil where this is not the live instance.
local function contact()
  if ask.gateway == '' then
    return nil
  end
  local key = PREFIX .. 'gateway:' .. ask.gateway
  local owner = redis.call('HMGET', key, 'instance', 'heard')
  if owner[1] ~= ask.instance then
    return nil
  end
  local gap = ask.now - number(owner[2], key)
  local sum = number(redis.call('HGET', PREFIX .. 'contact', ask.gateway), PREFIX .. 'contact')
  return sum + math.max(0, math.min(GAP, gap))
end

-- Closed leases that nobody will repeat any more (rule 3).
local function outlived(lived)
  local key = PREFIX .. 'closed:' .. ask.gateway
  local old = redis.call('ZRANGEBYSCORE', key, '-inf', '(' .. digits(math.max(0, lived - KEPT)),
    'LIMIT', 0, PURGE)
  local ids = {}
  for _, id in ipairs(old) do
    if not leases[id] then
      ids[#ids + 1] = id
    end
  end
  return ids
end

-- When the gateway of each lease that closes now was last in contact, on its own clock of contact.
local function closings(lived)
  local found = {}
  for i, record in ipairs(closed) do
    local gateway = string.match(record.id, '^[^:]*')
    local at = gateway == ask.gateway and lived
    if not at then
      at = number(redis.call('HGET', PREFIX .. 'contact', gateway), PREFIX .. 'contact')
    end
    found[i] = {PREFIX .. 'closed:' .. gateway, at, record.id}
  end
  return found
end

-- The devices that were seen longest ago give way to new ones.
local function overdue()
  local times, order = {}, {}
  local raw = redis.call('HGETALL', PREFIX .. 'seen')
  for i = 1, #raw, 2 do
    times[raw[i]] = number(raw[i + 1], PREFIX .. 'seen')
  end
  for device, at in pairs(ask.seen) do
    times[device] = at
  end
  for device in pairs(times) do
    order[#order + 1] = device
  end
  if #order <= SEEN then
    return {}
  end
  table.sort(order, function(a, b)
    return times[a] > times[b] or (times[a] == times[b] and a < b)
  end)
  return {unpack(order, SEEN + 1)}
end

for i, row in ipairs(ask.rows) do
  fresh[i] = settle(row)
end
for _, bucket in pairs(buckets) do
  total(bucket)
end
local lived = contact()
local gone, ended = lived and outlived(lived) or {}, closings(lived)
local unseen = overdue()

-- From here on only writes.
for _, record in pairs(leases) do
  save_lease(record)
end
save_scopes()
save_sessions()
for _, bucket in pairs(buckets) do
  store(bucket.key, bucket.values)
  if bucket.new and bucket.ttl > 0 then
    redis.call('EXPIRE', bucket.key, digits(bucket.ttl))
  end
end
for device, at in pairs(ask.seen) do
  redis.call('HSET', PREFIX .. 'seen', device, digits(at))
end
for _, device in ipairs(unseen) do
  redis.call('HDEL', PREFIX .. 'seen', device)
end
for _, entry in ipairs(ended) do
  redis.call('ZADD', entry[1], digits(entry[2]), entry[3])
end
for _, id in ipairs(gone) do
  redis.call('DEL', PREFIX .. 'lease:' .. id)
  redis.call('ZREM', PREFIX .. 'closed:' .. ask.gateway, id)
end
if lived then
  redis.call('HSET', PREFIX .. 'gateway:' .. ask.gateway, 'heard', digits(ask.now))
  redis.call('HSET', PREFIX .. 'contact', ask.gateway, digits(lived))
end
return fresh
