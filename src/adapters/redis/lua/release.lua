-- Forgets the notes of settlements that their owner's log has. The settlements themselves are remembered a while longer.
--
-- Why one script: a record that is no settlement any more, because the store lost it and it was brought back, must stay.
--
-- KEYS  records, on a Cluster those of one shard
-- ARGV  1 life of a settlement without a note (ms)
-- Reply how many notes there were

local released = 0
for _, key in ipairs(KEYS) do
  local record = redis.call('GET', key)
  if record and #record > 1 and string.sub(record, 1, 1) == 'S' then
    redis.call('SET', key, 'S', 'PXAT', now_ms + tonumber(ARGV[1]))
    released = released + 1
  end
end
return released
