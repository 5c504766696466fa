-- Lets one gateway at a time empty the store, and only as long as the store is as that gateway saw it.
--
-- KEYS  1 epoch of the first shard, 2 lock
-- ARGV  1 epoch as it was seen ('' for none), 2 name of who locks, 3 life of the lock (ms)
-- Reply {'locked'} also to whoever has the lock already, {'busy'} or {'changed'}

if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return {'changed'} end
local owner = redis.call('GET', KEYS[2])
if owner and owner ~= ARGV[2] then return {'busy'} end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return {'locked'}
