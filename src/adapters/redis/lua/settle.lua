-- Replaces what a reservation holds by what its call really cost.
--
-- Why one script: the state of the record decides what is posted, and a repeat must find the record already settled.
-- The charge lands in the accumulators of the reservation, so in the calendar window and the sub-window that held it.
--
-- KEYS  1 record, 2 leases of its home shard, 3 expired holds of its owner, 4.. one hash per accumulator
-- ARGV  1 reservation id, 2 life of the tombstone (ms), 3 'settle', 'void' or 'revoke', 4 life of an idle concurrency counter (ms),
--       5 note that the tombstone keeps, then 5 per accumulator: kind, amount held, actual amount, a, b
--         b budget       a, b: as in reserve
--         c concurrency  frees its place, whatever the actual amount is
--         s sliding, t bucket: a, b as in reserve
--         d span         time is not given back: nothing is done
-- Reply {'settled', state letter before ('R' held, 'X' expired, '-' unknown), number of budgets above what they held}
--       {'already'}   {'unknown'}
--
-- A void of an unknown id leaves a tombstone: the reserve it overtook is refused when it arrives. A revocation undoes a
-- part of a decision that another shard refused: it leaves no tombstone, because a refused id may be asked for again.

local FIELDS = 5
local FIRST = 5

local record = redis.call('GET', KEYS[1])
local before = record and string.sub(record, 1, 1) or '-'
if before == 'S' then return {'already'} end
if before == '-' and ARGV[3] ~= 'void' then return {'unknown'} end

local function bury()
  if ARGV[3] == 'revoke' then
    redis.call('DEL', KEYS[1])
  else
    redis.call('SET', KEYS[1], 'S' .. ARGV[5], 'PXAT', now_ms + tonumber(ARGV[2]))
  end
  redis.call('ZREM', KEYS[2], ARGV[1])
end

if before == '-' then
  bury()
  return {'settled', before, 0}
end

local function numbers_of(text)
  local numbers = {}
  for number in string.gmatch(text, '[^,]+') do numbers[#numbers + 1] = tonumber(number) end
  return numbers
end

-- After a reservation that was made smaller its amounts stand behind the marks; who lost its answer does not know them.
local reserved_text, marks_text = string.match(record, '^%a|(%d+)|([^|]*)|')
local reserved_at, granted_at = tonumber(reserved_text), string.find(marks_text, ';', 1, true)
local marks = numbers_of(granted_at and string.sub(marks_text, 1, granted_at - 1) or marks_text)
local granted = granted_at and numbers_of(string.match(marks_text, ';%d+;(.*)', granted_at)) or {}

-- An expired hold was charged in full: only the difference is left to post.
local function settle_budget(key, held, actual, a, b)
  local is_for_ever = a == 0 and b == 0
  if before == 'R' then
    post_counter(key, is_for_ever, held, actual)
  else
    post_counter(key, is_for_ever, 0, actual - held)
  end
  keep_used(key, a, b)
end

-- The place of an expired hold is free since then.
local function settle_place(key, held)
  if before ~= 'R' or redis.call('EXISTS', key) == 0 then return end
  if post_counter(key, false, held, 0) == 0 then redis.call('PEXPIREAT', key, now_ms + tonumber(ARGV[4])) end
end

-- Mark -1: the store lost the charge, so nothing of it is given back.
local function settle_ring(key, held, actual, width, size, mark)
  if actual == held or (mark == -1 and actual < held) then return end
  local index = math.floor(reserved_at / width)
  local value = redis.call('HMGET', key, 'i', index % size)
  local newest, in_slot = tonumber(value[1]), tonumber(value[2]) or 0
  if not newest or newest < index or newest - index >= size then return end
  -- Nothing is given back that the sub-window does not have: when the clock was set back, a ring may be younger than its charge.
  local change = string.format('%.0f', math.max(actual - held, 0 - in_slot))
  redis.call('HINCRBY', key, 't', change)
  redis.call('HINCRBY', key, index % size, change)
end

-- The safe refund: at most what is provably still owed of this reservation, that is its mark (debt after its charge plus
-- refunds until then) less the refunds since and less what drained since. A bucket younger than the reservation owes
-- nothing. Giving back more would let calls in flight spend the burst many times over.
local function settle_bucket(key, held, actual, rate, mark)
  if actual == held then return end
  local state = read_bucket(key, 0, 0, rate)
  -- Also into a bucket that has drained and is forgotten: a long call must not cost more than its charge for nothing.
  if actual > held then
    local debt = state.debt + (actual - held)
    redis.call('HSET', key, 'd', debt, 't', state.at, 'f', state.refunded, 'c', state.created)
    return keep_bucket(key, debt, state.at, rate)
  end
  if not state.exists or state.created > reserved_at then return end
  local owed = mark - state.refunded - (state.at - reserved_at) * rate
  local refund = math.min(held - actual, owed, state.debt)
  if refund <= 0 then return end
  redis.call('HSET', key, 'd', state.debt - refund, 't', state.at, 'f', state.refunded + refund)
  keep_bucket(key, state.debt - refund, state.at, rate)
end

local overshoot = 0
for i = 1, #KEYS - 3 do
  local at = FIRST + (i - 1) * FIELDS
  local key, kind, actual = KEYS[i + 3], ARGV[at + 1], tonumber(ARGV[at + 3])
  local held = granted[i] or tonumber(ARGV[at + 2])
  local a, b = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  if kind == 'b' then
    settle_budget(key, held, actual, a, b)
    if actual > held then overshoot = overshoot + 1 end
  elseif kind == 'c' then
    settle_place(key, held)
  elseif kind == 's' then
    settle_ring(key, held, actual, a, b, marks[i])
  elseif kind == 't' then
    settle_bucket(key, held, actual, a / b, marks[i] or 0)
  end
end
if before == 'X' then redis.call('ZREM', KEYS[3], ARGV[1]) end
bury()
return {'settled', before, overshoot}
