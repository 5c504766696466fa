-- Opens shards, when they are in the epoch that opens.
--
-- KEYS  epochs of shards
-- ARGV  1 id of the epoch
-- Reply {'open'} or {'gone'}

for _, key in ipairs(KEYS) do
  local epoch = redis.call('GET', key)
  if epoch == '~' .. ARGV[1] then
    redis.call('SET', key, ARGV[1])
  elseif epoch ~= ARGV[1] then
    return {'gone'}
  end
end
return {'open'}
