-- Begins the rebuild of a store that was emptied: from here on its epoch is the new one, not open yet.
--
-- KEYS  1 epoch of the first shard, 2 lock, 3 the rebuild (hash)
-- ARGV  1 name of who has the lock, 2 id of the new epoch
-- Reply {'begun'}, or {'late'} when the lock is no longer one's own

if redis.call('GET', KEYS[2]) ~= ARGV[1] then return {'late'} end
redis.call('DEL', KEYS[2], KEYS[3])
redis.call('HSET', KEYS[3], 'id', ARGV[2], 'at', string.format('%.0f', now_ms))
redis.call('SET', KEYS[1], '~' .. ARGV[2])
return {'begun'}
