-- Stands before every script that reads accumulators: how each of the four kinds is read at `now`. Reading writes nothing.
--
-- Amounts are whole numbers up to 2^53 - 1, which a Lua double holds exactly. They are never concatenated into a string:
-- `..` prints 14 digits. `redis.call` prints 17, and integer replies keep them whole.
--
-- Hash fields
--   b budget, c concurrency   s settled   r held
--   s sliding                 i newest sub-window   t total   0..N what each sub-window holds
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

local function read_accumulator(kind, key, limit, version, a, b)
  if kind == 's' then return read_ring(key, limit, version, a, b) end
  if kind == 't' then return read_bucket(key, limit, version, a / b) end
  return read_counter(key, limit, version)
end

-- Ten years in milliseconds: no wait and no time to live is longer, so absurd rates stay inside exact integers.
local HORIZON_MS = 315360000000

-- A bucket is kept until it has drained, and one second more: then forgetting it and keeping it mean the same.
local function keep_bucket(key, debt, rate)
  redis.call('PEXPIREAT', key, now_ms + math.min(math.ceil(debt / rate / 1000), HORIZON_MS) + 1000)
end

-- Frees `free` of what a counter holds and adds `add` to what is settled. A calendar window that is no longer kept is not
-- brought back: it would have no end, and its spend is on record in the audit log.
local function post_counter(key, is_lifetime, free, add)
  local value = redis.call('HMGET', key, 's', 'r')
  if not value[2] and not is_lifetime then return 0 end
  local held = math.max(0, (tonumber(value[2]) or 0) - free)
  redis.call('HSET', key, 's', (tonumber(value[1]) or 0) + add, 'r', held)
  return held
end

