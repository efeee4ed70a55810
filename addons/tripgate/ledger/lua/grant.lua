#!lua
-- Grant a slice of volume to a lease, out of all its counters at once (RFC 8506's granted unit).
--
-- Rules
-- 1. Only the live instance of the gateway is granted anything ('fenced'), and only under the
--    settings it knows ('stale').
-- 2. A closed lease is granted nothing. A lease that stands higher than the caller knows lost a
--    reply: the difference is the answer. One that stands lower was lost by the store: it is
--    raised, and reserved, first.
-- 3. Afterwards the lease stands in exactly the counters of this call, with all that it holds.
-- 4. left = limit - used - reserved. A counter with nothing left refuses; the one with the least
--    left is named. At most FINAL bytes left: all of it is offered, the final unit (RFC 8506
--    section 5.6). Else left, or left/(2 x share) where several devices share the target.
-- 5. The least offer is granted, no more than is wanted unless it is a final unit, in every
--    counter or not at all. Counters without a limit only count.
-- 6. A soft limit (its cap slows and does not stop) offers what it has left, like any other, and
--    then no longer limits: the answer names the soft limits that have nothing left. It makes no
--    unit final and does not count in what is left.
-- 7. What the lease has overrun comes on top: it is used already and takes no reserve.
--
-- 8. Of a plan that is billed by steps whole steps are left, and what is paid and has not moved
--    (rule 8 of common.lua).
--
-- ARGV: JSON {gateway, instance, version, lease, device, have, want, trusted,
--             session: [uplink, id, step] or null,
--             limits: [[target, period, start, limit or -1, share, soft], ...]}
-- Returns {'fenced'}, {'stale'} or {'ok', granted, final, left beyond it or '' where nothing limits,
--   the limit with the least left (from 1) or 0, its used, the soft limits reached (from 1, by
--   commas)}.

local FINAL = 65536
local ask = cjson.decode(ARGV[1])

if redis.call('HGET', PREFIX .. 'gateway:' .. ask.gateway, 'instance') ~= ask.instance then
  return {'fenced'}
end
if number(redis.call('GET', PREFIX .. 'version'), PREFIX .. 'version') ~= ask.version then
  return {'stale'}
end
local record = lease(ask.lease)
if not record.open then
  return {'ok', digits(ask.have), '0', '0', '0', '0', ''}
end
record.device = ask.device

-- Rules 2 and 3.
local function join()
  local before = held(record)
  record.granted = math.max(record.granted, ask.have)
  local lost = held(record) - before
  post(record, lost, 0)
  local at, holds = {}, held(record)
  for _, limit in ipairs(ask.limits) do
    local target, period = limit[1], limit[2]
    local name = target .. ' ' .. period
    local start = turn(target, period, limit[3], ask.trusted)
    local old = record.at[name]
    if not at[name] and not (old and stands(target, period, old[3])) then
      reserve(target, period, holds)
    end
    at[name] = {target, period, start}
  end
  for name, old in pairs(record.at) do
    if not at[name] and stands(old[1], old[2], old[3]) then
      reserve(old[1], old[2], -holds)
    end
  end
  record.at = at
end

-- Rules 4 and 8.
local function left_of(limit)
  local target, now = limit[1], scope(limit[1]).now
  local left, reserved = limit[4] - now[limit[2] .. '.used'], now[limit[2] .. '.reserved']
  if type(ask.session) ~= 'table' or not string.match(target, '^plan') then
    return left - reserved
  end
  local trip = record.at[target .. ' trip']
  local one = session(target, ask.session, trip and trip[3] or 0)
  return math.floor(left / one.step) * one.step + one.paid - reserved
end

-- Rules 4 and 6: the least that is left anywhere, in which limit, the least offer, whether it is
-- final, the soft limits reached.
local function room()
  local least, binding, offer, final, reached = nil, 0, nil, false, {}
  for i, limit in ipairs(ask.limits) do
    if limit[4] >= 0 then
      local left = left_of(limit)
      if not limit[6] and (not least or left < least) then
        least, binding = left, i
      end
      local whole = left <= FINAL or limit[5] <= 1
      local this = whole and left or math.max(1, math.floor(left / (2 * limit[5])))
      if limit[6] and left <= 0 then
        reached[#reached + 1] = i
      elseif not offer or this < offer then
        offer, final = this, left <= FINAL and not limit[6]
      end
    end
  end
  return least, binding, offer, final, table.concat(reached, ',')
end

local function answer(left, binding, reached, final)
  local used = 0
  if binding > 0 then
    local limit = ask.limits[binding]
    used = scope(limit[1]).now[limit[2] .. '.used']
  end
  if record.known or record.granted > 0 then
    save_lease(record)
  end
  save_scopes()
  return {'ok', digits(record.granted), final and left and left <= 0 and '1' or '0',
    left and digits(math.max(0, left)) or '', digits(binding), digits(used), reached}
end

join()
local least, binding, offer, final, reached = room()
if record.granted > ask.have then
  return answer(least, binding, reached, true)
end
if least and least <= 0 then
  return answer(least, binding, reached, false)
end
local over = math.max(0, record.settled - record.granted)
local slice = math.max(0, ask.want - over)
if offer then
  slice = final and offer or math.min(slice, offer)
end
record.granted = record.granted + (slice > 0 and over or math.min(ask.want, over)) + slice
post(record, slice, 0)
return answer(least and least - slice, binding, reached, true)
