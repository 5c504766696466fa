-- A log begins to tell this epoch what it knows, while the store is being rebuilt or, late, when it is open.
--
-- Why one script: a log that joins before the opening is waited for, one that joins after it is not; there is nothing
-- between.
--
-- KEYS  1 epoch of the first shard, 2 the rebuild (hash)
-- ARGV  1 id of the epoch, 2 origin of the log, 3 name of this attempt, 4.. origins that have to tell before it opens
-- Reply {'joined', epoch as the shards have it, instant from which windows are judged (ms)}
--       {'done'}: it has told.  {'torn'}: another attempt began and has not ended.
--       {'opening'}: in a moment it is open.  {'gone'}: the store is in another epoch.

local epoch, id = redis.call('GET', KEYS[1]), ARGV[1]
if epoch ~= id and epoch ~= '~' .. id then return {'gone'} end
if redis.call('HEXISTS', KEYS[2], 'd:' .. ARGV[2]) == 1 then return {'done'} end
local attempt = redis.call('HGET', KEYS[2], 'p:' .. ARGV[2])
if attempt and attempt ~= ARGV[3] then return {'torn'} end
local is_open = epoch == id
if not is_open then
  if redis.call('HEXISTS', KEYS[2], 'ready') == 1 then return {'opening'} end
  for i = 4, #ARGV do redis.call('HSET', KEYS[2], 'e:' .. ARGV[i], 1) end
  redis.call('HSET', KEYS[2], 'e:' .. ARGV[2], 1)
end
redis.call('HSET', KEYS[2], 'p:' .. ARGV[2], ARGV[3])
return {'joined', epoch, redis.call('HGET', KEYS[2], 'at')}
