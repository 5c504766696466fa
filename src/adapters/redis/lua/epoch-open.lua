-- Opens a store to which every log that it waits for has told what it knows. First it is made ready: from then on nobody is
-- waited for any more; then, when all other shards are open, the first.
--
-- KEYS  1 epoch of the first shard, 2 the rebuild (hash)
-- ARGV  1 id of the epoch, 2 'ready' or 'open'
-- Reply {'ready'}, {'open'}, {'gone'} or {'waiting', origins that have not told}

local epoch, id = redis.call('GET', KEYS[1]), ARGV[1]
if epoch == id then return {'open'} end
if epoch ~= '~' .. id then return {'gone'} end
local fields, told, waiting = redis.call('HKEYS', KEYS[2]), {}, {}
for _, field in ipairs(fields) do
  local kind = string.sub(field, 1, 2)
  if kind == 'd:' or kind == 'x:' then told[string.sub(field, 3)] = true end
end
for _, field in ipairs(fields) do
  local origin = string.sub(field, 3)
  if string.sub(field, 1, 2) == 'e:' and not told[origin] then waiting[#waiting + 1] = origin end
end
if #waiting > 0 then return {'waiting', unpack(waiting)} end
redis.call('HSET', KEYS[2], 'ready', 1)
if ARGV[2] == 'ready' then return {'ready'} end
redis.call('SET', KEYS[1], id)
return {'open'}
