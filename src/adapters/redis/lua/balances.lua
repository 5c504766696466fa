-- Reads the state of accumulators now: windows turned and debts drained, nothing written.
--
-- Why a script: the state depends on Redis's clock, and must be read by the same rules as a decision reads it.
--
-- KEYS  one hash per accumulator
-- ARGV  5 per accumulator: kind, limit, policy version, a, b (as in reserve)
-- Reply limit, settled, held per accumulator; {'lost'} in another epoch

local FIELDS = 5

local reply = {}
for i, key in ipairs(KEYS) do
  local at = (i - 1) * FIELDS
  local limit, version, a, b =
    tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  local state = read_accumulator(ARGV[at + 1], key, limit, version, a, b)
  for _, value in ipairs({state.limit, state.settled, state.held}) do reply[#reply + 1] = value end
end
return reply
