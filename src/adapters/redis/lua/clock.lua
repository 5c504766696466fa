-- Stands before every script that needs the time. Redis's own clock is the only one: gateways may disagree with each
-- other, and all decisions about one accumulator are made by one clock. Microseconds and milliseconds since the epoch.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now_ms = math.floor(now / 1000)

