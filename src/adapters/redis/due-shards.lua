-- Names the shards in which a lease may have run out.
--
-- Why a script: what is due is a question to Redis's clock.
--
-- KEYS  1 index: shard -> instant before which none of its leases can have run out
-- ARGV  1 most shards to name
-- Reply shards, longest due first

return redis.call('ZRANGE', KEYS[1], '-inf', now_ms, 'BYSCORE', 'LIMIT', 0, ARGV[1])
