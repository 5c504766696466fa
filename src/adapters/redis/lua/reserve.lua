-- Checks every accumulator of one decision and charges all of them, or none.
--
-- Why one script: between a check and its charge no other decision may come, and a decision refused by one accumulator
-- must leave no trace in any other. The first pass only reads; the second writes, and runs only when nothing refuses.
--
-- KEYS  1 record of the reservation, 2 leases (zset) of its home shard, 3.. one hash per accumulator
-- ARGV  1 reservation id, 2 lease (ms), 3 plan (opaque text for the reaper),
--       then 7 per accumulator: kind, amount, limit, policy version, a, b, kept until (ms, 0 for ever)
--         b budget       a, b: first ms of the calendar window and first ms after it, b = 0: no window, kept for a ms after
--                        its last use, or for ever when a = 0, too
--         c concurrency  a, b: 0
--         s sliding      a: width of a sub-window (us), b: number of slots
--         t bucket       a units drain every b us
--         d span         a: how long it is kept after its end (ms)
--       then, when less may be held for a shorter answer, what fit.lua reads
-- Reply {'held', now (us), marks as the record keeps them, then per accumulator: limit, settled, held before the charge}
--       {'refused', then per accumulator without room: index, limit, settled, held, wait (us, -1 never by time alone)}
--       {'duplicate', state letter}   {'stale', now (ms)}: a calendar window that does not contain now
--       {'loaded'} when there is no id   {'lost'} (see guard)
--
-- A repeat finds the record and changes nothing. A void that came first has left a record too, so a reserve that was
-- delayed on its way is refused.

local FIELDS = 7
local FIRST = 3

-- Asked without an id, only to make the script known or to see whether it is.
if ARGV[1] == '' then return {'loaded'} end

local known = redis.call('GET', KEYS[1])
if known then return {'duplicate', string.sub(known, 1, 1)} end

local function wait_for_counter(state, amount, window_end)
  if window_end == 0 or amount > state.limit or state.settled + amount <= state.limit then return -1 end
  return (window_end - now_ms) * 1000
end

-- Walks the ring from its oldest slot until enough has left. Slots after `newest` still show what was there a turn ago.
local function wait_for_ring(key, state, amount, width, size)
  if amount > state.limit then return -1 end
  local fields = {}
  for index = state.index - size + 1, state.index do fields[#fields + 1] = index % size end
  local slots = redis.call('HMGET', key, unpack(fields))
  local missing = state.settled + amount - state.limit
  for place = 1, size do
    local index = state.index - size + place
    if index <= state.newest and index > state.newest - size then missing = missing - (tonumber(slots[place]) or 0) end
    if missing <= 0 then return (index + size) * width - now end
  end
  return -1
end

-- Tried by the very expression with which the later decision will judge: the division is off by a rounding, and one
-- microsecond drains more than that.
local function wait_for_bucket(state, amount, rate)
  if amount > state.limit then return -1 end
  local wait = math.floor((state.debt + amount - state.limit) / rate + 0.5)
  local debt_then = math.max(0, state.stored_debt - (state.at + wait - state.stored_at) * rate)
  if state.limit - debt_then - amount < 0 then wait = wait + 1 end
  return math.min(wait + state.at - now, HORIZON_MS * 1000)
end

local function wait_for(kind, key, state, amount, a, b)
  if kind == 's' then return wait_for_ring(key, state, amount, a, b) end
  if kind == 't' then return wait_for_bucket(state, amount, a / b) end
  return wait_for_counter(state, amount, b)
end

local function charge_counter(key, state, entry)
  redis.call('HINCRBY', key, 'r', entry.amount_text)
  if entry.kept_until ~= '0' and not state.exists then redis.call('PEXPIREAT', key, entry.kept_until) end
  if entry.kind == 'b' then keep_used(key, entry.a, entry.b) end
  -- A place that is taken again must not be forgotten: settle had given the idle counter an end.
  if entry.kind == 'c' and state.exists and state.held == 0 then redis.call('PERSIST', key) end
end

local function charge_ring(key, state, entry)
  local slot = state.index % entry.b
  if state.fresh then
    redis.call('DEL', key)
    if not state.store then redis.call('HSET', key, 'l', state.stored_limit, 'v', state.stored_version) end
  elseif #state.left > 0 then
    redis.call('HDEL', key, unpack(state.left))
  end
  redis.call('HSET', key, 'i', state.index, 't', state.settled + entry.amount)
  redis.call('HINCRBY', key, slot, entry.amount_text)
  if state.fresh or #state.left > 0 then
    redis.call('PEXPIREAT', key, math.ceil((state.index + entry.b) * entry.a / 1000))
  end
end

local function charge_bucket(key, state, entry)
  local debt = state.debt + entry.amount
  redis.call('HSET', key, 'd', debt, 't', state.at)
  if not state.exists then redis.call('HSET', key, 'f', 0, 'c', state.created) end
  keep_bucket(key, debt, state.at, entry.a / entry.b)
  return debt + state.refunded
end

local function charge_span(key, state, entry)
  if not state.exists then redis.call('HSET', key, 'i', state.began) end
  if not state.exists or state.store then redis.call('PEXPIREAT', key, state.began + state.limit + entry.a) end
  return state.began
end

local entries, states, short = {}, {}, {}
for i = 1, #KEYS - 2 do
  local at = FIRST + (i - 1) * FIELDS
  local entry = {
    kind = ARGV[at + 1],
    amount_text = ARGV[at + 2],
    amount = tonumber(ARGV[at + 2]),
    limit_text = ARGV[at + 3],
    version_text = ARGV[at + 4],
    a = tonumber(ARGV[at + 5]),
    b = tonumber(ARGV[at + 6]),
    kept_until = ARGV[at + 7],
  }
  if entry.kind == 'b' and entry.b > 0 and (now_ms < entry.a or now_ms >= entry.b) then return {'stale', now_ms} end
  local key, limit, version = KEYS[i + 2], tonumber(entry.limit_text), tonumber(entry.version_text)
  local state = read_accumulator(entry.kind, key, limit, version, entry.a, entry.b)
  if state.limit - (state.debt or state.settled) - state.held - entry.amount < 0 then
    local wait = wait_for(entry.kind, key, state, entry.amount, entry.a, entry.b)
    for _, value in ipairs({i - 1, state.limit, state.settled, state.held, wait}) do short[#short + 1] = value end
  end
  entries[i], states[i] = entry, state
end

local fit_at, granted = FIRST + #entries * FIELDS + 1, nil
if ARGV[fit_at] then granted = affordable_tokens(fit_at, short, states) end
if #short > 0 and not granted then return {'refused', unpack(short)} end
local granted_text = granted and shorten_to(fit_at, entries, granted) or ''

local marks, reply = {}, {}
for i, entry in ipairs(entries) do
  local key, state, mark = KEYS[i + 2], states[i], 0
  if entry.kind == 's' then
    charge_ring(key, state, entry)
  elseif entry.kind == 't' then
    mark = charge_bucket(key, state, entry)
  elseif entry.kind == 'd' then
    mark = charge_span(key, state, entry)
  else
    charge_counter(key, state, entry)
  end
  if state.store then redis.call('HSET', key, 'l', entry.limit_text, 'v', entry.version_text) end
  marks[i] = string.format('%.17g', mark)
  for _, value in ipairs({state.limit, state.settled, state.held}) do reply[#reply + 1] = value end
end

local marks_text = table.concat(marks, ',') .. granted_text
redis.call('SET', KEYS[1], 'R|' .. string.format('%.0f', now) .. '|' .. marks_text .. '|' .. ARGV[3])
redis.call('ZADD', KEYS[2], now_ms + tonumber(ARGV[2]), ARGV[1])
return {'held', now, marks_text, unpack(reply)}
