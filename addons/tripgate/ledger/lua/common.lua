-- What grant and settle share: the counters of a target and the record of a lease.
--
-- Rules
-- 1. Every key begins with {plan}: (one slot of a cluster). A script reads all that it needs,
--    decides, and writes last: a Lua error does not roll back, so nothing may fail after the
--    first write. A value that is no number fails while reading (DAMAGED KEY).
-- 2. Lua's numbers are doubles: whole below 2^53 bytes (9 PB). They are stored and returned as
--    plain digits, never in scientific form.
-- 3. A period turns: no start stored -> the caller's start, zero used, zero reserved; the caller's
--    start is later and its clock is trusted -> the same, and the reserve of the old period is
--    gone; else the stored start stays. A first start that came from an untrusted clock is a
--    guess: the first trusted caller confirms it, or moves it back, and what was counted stays.
--    When the guessed period comes after all, leases that were opened in it still stand there.
--    Where a trip or a once begins the settings say, and no clock: every caller is trusted there.
-- 4. A lease remembers in which counters it stands, with the start of each. Its bytes count there
--    while that start (or the guess it was corrected from) is the stored one; life counts always.
-- 5. A lease holds max(0, granted - settled) in each of its counters while it is open.
-- 6. A reserve never falls below zero, whatever a lease gives back: a store that other hands wrote
--    (a backup) may hold a lease that its counter does not know, and a debt would be free bytes.
-- 7. A device that was folded into another is gone: what its leases still bring is its heir's.
-- 8. A seller bills by steps, each session of an uplink by itself: plan counters count what is
--    billed. Of each session it is known how many bytes are paid and have not moved yet (PAID); a
--    new session has none, nor has a plan whose trip begins. A row that names no session (a lease
--    of a run that crashed) is of the plan's last one. A row of an earlier trip than that is
--    rounded up by itself. Past SESSIONS uplinks the others' are forgotten, and begin anew.

local PREFIX = '{plan}:'
local LIMIT = 9007199254740992
local FOLDED = PREFIX .. 'folded'
local SESSION_KEY, SESSIONS = PREFIX .. 'sessions', 64
local scopes, leases, heirs, sessions = {}, {}, nil, nil

local function digits(n)
  return string.format('%.0f', n)
end

local function number(value, key)
  if not value then
    return 0
  end
  local n = string.match(value, '^%d+$') and tonumber(value)
  if not n or n >= LIMIT then
    error({err = 'DAMAGED ' .. key})
  end
  return n
end

-- Rule 7: the heir of a device by id, or nil.
local function heir(device)
  if not heirs then
    heirs = {}
    local raw = redis.call('HGETALL', FOLDED)
    for i = 1, #raw, 2 do
      heirs[raw[i]] = raw[i + 1]
    end
  end
  return heirs[device]
end

-- The name that now stands for a target or a bucket.
local function renamed(name)
  local kind, device, rest = string.match(name, '^(device:)([^:]+)(.*)$')
  if not kind then
    kind, device, rest = string.match(name, '^(use:)([^:]+)(:.*)$')
  end
  local into = device and heir(device)
  return into and kind .. into .. rest or name
end

-- Rule 8: uplink, id, step, trip and paid of a plan's session. asked: {uplink, id, step} or nil.
local function session(target, asked, trip)
  if not sessions then
    sessions = {now = {}, touched = {}, changed = false, size = 0}
    local raw = redis.call('HGETALL', SESSION_KEY)
    for i = 1, #raw, 2 do
      sessions.now[raw[i]] = raw[i + 1]
      sessions.size = sessions.size + 1
    end
  end
  local uplink = asked and asked[1] or sessions.now[target]
  local known = uplink and sessions.now[target .. ' ' .. uplink]
  local id, step, began, paid = string.match(known or '', '^(%S+) (%d+) (%d+) (%d+)$')
  if known and not id then
    error({err = 'DAMAGED ' .. SESSION_KEY})
  end
  local found = {uplink = uplink, id = asked and asked[2] or id, trip = trip, paid = 0,
    step = asked and asked[3] or tonumber(step or 1), late = began and trip < tonumber(began)}
  if id and found.id == id and trip == tonumber(began) then
    found.paid = number(paid, SESSION_KEY)
  end
  return found
end

local function remember_session(target, found)
  local value = table.concat(
    {found.id, digits(found.step), digits(found.trip), digits(found.paid)}, ' ')
  for field, new in pairs({[target] = found.uplink, [target .. ' ' .. found.uplink] = value}) do
    sessions.changed = sessions.changed or sessions.now[field] ~= new
    sessions.now[field], sessions.touched[field] = new, new
  end
end

-- What a lease's new bytes are billed as, by its plan's target.
local function billed(record, asked, new)
  local found = {}
  for _, place in pairs(record.at) do
    local target = place[1]
    if new > 0 and not found[target] and string.match(target, '^plan') then
      local trip = record.at[target .. ' trip']
      local one = session(target, asked, trip and trip[3] or 0)
      local over = math.max(0, new - one.paid)
      local bill = math.ceil(over / one.step) * one.step
      found[target] = bill
      one.paid = one.paid + bill - new
      if one.uplink and one.id and not one.late then
        remember_session(target, one)
      end
    end
  end
  return found
end

-- HSET in portions: unpack has a limit.
local function store(key, pairs_)
  for i = 1, #pairs_, 1000 do
    redis.call('HSET', key, unpack(pairs_, i, math.min(i + 999, #pairs_)))
  end
end

local function scope(target)
  local found = scopes[target]
  if not found then
    local key = PREFIX .. 'scope:' .. target
    local raw = redis.call('HGETALL', key)
    found = {key = key, now = {}, changed = {}}
    for i = 1, #raw, 2 do
      found.now[raw[i]] = number(raw[i + 1], key)
    end
    scopes[target] = found
  end
  return found
end

local function put(counters, field, n)
  if counters.now[field] ~= n then
    counters.now[field] = n
    counters.changed[field] = true
  end
end

local function add(counters, field, n)
  put(counters, field, (counters.now[field] or 0) + n)
end

-- Rule 6.
local function reserve(target, period, n)
  local counters, field = scope(target), period .. '.reserved'
  put(counters, field, math.max(0, (counters.now[field] or 0) + n))
end

local lease, held

-- What open leases hold that stand in a period since its start was guessed.
local function held_since_guess(target, period, start)
  local sum = 0
  for _, id in ipairs(redis.call('SMEMBERS', PREFIX .. 'open')) do
    local record = lease(id)
    local place = record.at[target .. ' ' .. period]
    sum = sum + (place and place[3] == start and held(record) or 0)
  end
  return sum
end

-- Rule 3; returns the start that counts.
local function turn(target, period, start, trusted)
  local counters = scope(target)
  local at, guess = period .. '.start', period .. '.guess'
  local stored = counters.now[at]
  trusted = trusted or period == 'trip' or period == 'once'
  if not stored or (trusted and start > stored) then
    local known = counters.now[guess] == start
    put(counters, at, start)
    put(counters, period .. '.used', 0)
    put(counters, period .. '.reserved', known and held_since_guess(target, period, start) or 0)
    put(counters, guess, not trusted and start or nil)
    return start
  end
  if trusted and counters.now[guess] == stored then
    put(counters, at, start)
    if start == stored then
      put(counters, guess, nil)
    end
    return start
  end
  return stored
end

-- Rule 4.
local function stands(target, period, start)
  local now = scope(target).now
  return start == now[period .. '.start'] or start == now[period .. '.guess']
end

function lease(id)
  local found = leases[id]
  if not found then
    local key = PREFIX .. 'lease:' .. id
    local raw = redis.call('HGETALL', key)
    found = {id = id, key = key, known = #raw > 0, open = true, granted = 0, settled = 0, at = {}}
    for i = 1, #raw, 2 do
      local field, value = raw[i], raw[i + 1]
      if field == 'state' then
        found.open = value == 'open'
      elseif field == 'device' then
        found.device = value
      elseif field == 'granted' or field == 'settled' then
        found[field] = number(value, key)
      else
        local target, period = string.match(field, '^at:(.+) (%l+)$')
        if not target then
          error({err = 'DAMAGED ' .. key})
        end
        target = renamed(target)
        found.at[target .. ' ' .. period] = {target, period, number(value, key)}
      end
    end
    leases[id] = found
  end
  return found
end

-- Rule 5.
function held(record)
  return record.open and math.max(0, record.granted - record.settled) or 0
end

-- Add to every counter that the lease stands in; bills: rule 8.
local function post(record, reserved, used, bills)
  for _, place in pairs(record.at) do
    local target, period, start = place[1], place[2], place[3]
    if stands(target, period, start) then
      reserve(target, period, reserved)
      add(scope(target), period .. '.used', bills and bills[target] or used)
    end
  end
end

local function save_lease(record)
  local fields = {
    'granted', digits(record.granted), 'settled', digits(record.settled),
    'state', record.open and 'open' or 'closed', 'device', record.device,
  }
  for name, place in pairs(record.at) do
    fields[#fields + 1] = 'at:' .. name
    fields[#fields + 1] = digits(place[3])
  end
  redis.call('DEL', record.key)
  store(record.key, fields)
  redis.call(record.open and 'SADD' or 'SREM', PREFIX .. 'open', record.id)
end

local function save_scopes()
  for _, counters in pairs(scopes) do
    local fields = {}
    for field in pairs(counters.changed) do
      local n = counters.now[field]
      if n then
        fields[#fields + 1] = field
        fields[#fields + 1] = digits(n)
      else
        redis.call('HDEL', counters.key, field)
      end
    end
    store(counters.key, fields)
  end
end

local function save_sessions()
  if not sessions or not sessions.changed then
    return
  end
  if sessions.size > SESSIONS then
    redis.call('DEL', SESSION_KEY)
  end
  for field, value in pairs(sessions.touched) do
    redis.call('HSET', SESSION_KEY, field, value)
  end
end
