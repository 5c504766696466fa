-- A log has told this epoch all it knows.
--
-- KEYS  1 the rebuild (hash)
-- ARGV  1 id of the epoch, 2 origin of the log, 3 name of the attempt
-- Reply {'done'} or {'gone'}

if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return {'gone'} end
if redis.call('HGET', KEYS[1], 'p:' .. ARGV[2]) ~= ARGV[3] then return {'gone'} end
redis.call('HSET', KEYS[1], 'd:' .. ARGV[2], 1)
return {'done'}
