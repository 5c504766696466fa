-- Notes something of one origin in the rebuild: that it is given up ('x:'), or which server it has checked ('v:').
--
-- KEYS  1 the rebuild (hash)
-- ARGV  1 id of the epoch, 2 field, 3 value
-- Reply {'noted'} or {'gone'}

if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return {'gone'} end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
return {'noted'}
