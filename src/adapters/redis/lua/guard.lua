-- Stands before every script that posts, and before that which tells callers their balances: a store that lost what it was
-- told must not be told more, or be believed, before it has been rebuilt. The name of the ledger's epoch is the last argument, and the key that holds it the last key; both are taken away
-- here. Empty: this ledger is not guarded.

local epoch_key, epoch = table.remove(KEYS), table.remove(ARGV)
if epoch ~= '' and redis.call('GET', epoch_key) ~= epoch then return {'lost'} end

