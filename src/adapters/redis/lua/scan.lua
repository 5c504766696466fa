-- Some of the names that one server has, whatever shards they are in. Changes nothing.
--
-- Why a script: a key routes it, so that one Redis and each server of a Cluster are asked in the same way.
--
-- KEYS  1 any key of the server
-- ARGV  1 cursor, 2 pattern of the names, 3 how many to look at
-- Reply next cursor and names; 0 begins a round and ends it

return redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
