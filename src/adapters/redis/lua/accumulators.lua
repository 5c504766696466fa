-- Stands before every script that reads accumulators: how each of the five kinds is read at `now`. Reading writes nothing.
--
-- Amounts are whole numbers up to 2^53 - 1, which a Lua double holds exactly. They are never concatenated into a string:
-- `..` prints 14 digits. `redis.call` prints 17, and integer replies keep them whole.
--
-- Hash fields
--   b budget, c concurrency   s settled   r held
--   s sliding                 i newest sub-window   t total   0..N what each sub-window holds
--   d span                    i instant at which it began (ms)
--   t bucket                  d debt   t instant of the debt (us)   f all refunds   c creation (us)
--   all                       l limit   v policy version that set it

-- The newest policy version wins on every node. Second result: whether a charge must store the caller's own.
local function limit_in_force(limit, version, stored_limit, stored_version)
  local stored = tonumber(stored_version)
  if not stored then return limit, true end
  if stored > version then return tonumber(stored_limit), false end
  return limit, version > stored or limit ~= tonumber(stored_limit)
end

local function read_counter(key, limit, version)
  local value = redis.call('HMGET', key, 's', 'r', 'l', 'v')
  local in_force, store = limit_in_force(limit, version, value[3], value[4])
  return {
    limit = in_force,
    store = store,
    settled = tonumber(value[1]) or 0,
    held = tonumber(value[2]) or 0,
    exists = value[2] ~= false,
  }
end

-- width: of one sub-window in us; size: number of slots. What has left the window since the last charge is subtracted
-- from the total here and removed by the next charge. A clock that stepped back does not turn the ring back.
local function read_ring(key, limit, version, width, size)
  local value = redis.call('HMGET', key, 'i', 't', 'l', 'v')
  local in_force, store = limit_in_force(limit, version, value[3], value[4])
  local index, newest, total, left = math.floor(now / width), tonumber(value[1]), tonumber(value[2]) or 0, {}
  local fresh = not newest or index - newest >= size
  if fresh then
    total = 0
  else
    index = math.max(index, newest)
    for gone = newest + 1, index do left[#left + 1] = gone % size end
    if #left > 0 then
      for _, amount in ipairs(redis.call('HMGET', key, unpack(left))) do total = total - (tonumber(amount) or 0) end
    end
  end
  return {
    limit = in_force,
    store = store,
    stored_limit = value[3],
    stored_version = value[4],
    settled = total,
    held = 0,
    index = index,
    newest = newest,
    fresh = fresh,
    left = left,
  }
end

-- rate: units per us. `debt` is exact; `settled` is rounded up, because states are whole numbers.
local function read_bucket(key, limit, version, rate)
  local value = redis.call('HMGET', key, 'd', 't', 'f', 'c', 'l', 'v')
  local in_force, store = limit_in_force(limit, version, value[5], value[6])
  local stored_debt, stored_at = tonumber(value[1]) or 0, tonumber(value[2]) or now
  local at = math.max(now, stored_at)
  local debt = math.max(0, stored_debt - (at - stored_at) * rate)
  return {
    limit = in_force,
    store = store,
    settled = math.ceil(debt),
    held = 0,
    exists = value[1] ~= false,
    debt = debt,
    at = at,
    stored_debt = stored_debt,
    stored_at = stored_at,
    refunded = tonumber(value[3]) or 0,
    created = tonumber(value[4]) or now,
  }
end

-- A clock that stepped back gives no time back.
local function read_span(key, limit, version)
  local value = redis.call('HMGET', key, 'i', 'l', 'v')
  local in_force, store = limit_in_force(limit, version, value[2], value[3])
  local began = tonumber(value[1]) or now_ms
  return {
    limit = in_force,
    store = store,
    settled = math.max(0, now_ms - began),
    held = 0,
    exists = value[1] ~= false,
    began = began,
  }
end

local function read_accumulator(kind, key, limit, version, a, b)
  if kind == 'd' then return read_span(key, limit, version) end
  if kind == 's' then return read_ring(key, limit, version, a, b) end
  if kind == 't' then return read_bucket(key, limit, version, a / b) end
  return read_counter(key, limit, version)
end

-- Ten years in milliseconds: no wait and no time to live is longer, so absurd rates stay inside exact integers.
local HORIZON_MS = 315360000000

-- A bucket is kept until it has drained, and one second more: then forgetting it and keeping it mean the same.
-- Counted from the instant of the debt: a clock that was set back must not make it forgotten before it has drained.
local function keep_bucket(key, debt, at, rate)
  redis.call('PEXPIREAT', key, math.ceil(at / 1000) + math.min(math.ceil(debt / rate / 1000), HORIZON_MS) + 1000)
end

-- A budget without a window (b = 0) that is not kept for ever is kept for `a` ms after its last use.
local function keep_used(key, a, b)
  if b == 0 and a > 0 then redis.call('PEXPIREAT', key, now_ms + a) end
end

-- Frees `free` of what a counter holds and adds `add` to what is settled. A counter that is no longer kept is not
-- brought back: its time is over, and its spend is on record in the audit log.
local function post_counter(key, is_for_ever, free, add)
  local value = redis.call('HMGET', key, 's', 'r')
  if not value[2] and not is_for_ever then return 0 end
  local held = math.max(0, (tonumber(value[2]) or 0) - free)
  redis.call('HSET', key, 's', (tonumber(value[1]) or 0) + add, 'r', held)
  return held
end

