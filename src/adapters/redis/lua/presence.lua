-- Says that a node is there, and counts those that were lately: what a node may give while it cannot reach this store is
-- its share among them.
--
-- KEYS  1 instant at which each node was last here (zset, ms)
-- ARGV  1 origin of the node's log, 2 how long a node counts (ms)
-- Reply {number of nodes}

redis.call('ZADD', KEYS[1], now_ms, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now_ms - tonumber(ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {redis.call('ZCARD', KEYS[1])}
