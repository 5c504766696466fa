-- Leaves the mark of a gateway: a later look at it tells up to which instant a store knows what that gateway wrote.
--
-- KEYS  1 stamps of the store (hash)
-- ARGV  1 origin of the gateway's log
-- Reply {stamp before ('' for none), stamp now}; both in ms by the store's clock, and never falling

local before = redis.call('HGET', KEYS[1], ARGV[1])
local stamp = string.format('%.0f', math.max(now_ms, (tonumber(before) or 0) + 1))
redis.call('HSET', KEYS[1], ARGV[1], stamp)
return {before or '', stamp}
