-- Stands before the reserve script: the longest answer that all short accumulators afford, and the amounts of it. The
-- arithmetic is that of src/domain/fit.ts; whole numbers up to 2^53 are divided and multiplied exactly.
--
-- ARGV from `first`: maximum asked for, least maximum of use, then 3 per accumulator: amount without an answer, amount
-- added by each token, 1 when the rule lets answers be shortened else 0

local FIT_FIELDS = 3

local function fit_term(first, i)
  local at = first + 2 + (i - 1) * FIT_FIELDS
  return tonumber(ARGV[at]), tonumber(ARGV[at + 1]), ARGV[at + 2] == '1'
end

-- short: as in the reply of a refusal, 5 values each, of which the first is the index from 0.
local function affordable_tokens(first, short, states)
  local tokens = tonumber(ARGV[first])
  for at = 1, #short, 5 do
    local base, per_token, may_shorten = fit_term(first, short[at] + 1)
    if not may_shorten or per_token == 0 then return nil end
    local state = states[short[at] + 1]
    tokens = math.min(tokens, math.floor((state.limit - state.settled - state.held - base) / per_token))
  end
  return tokens >= tonumber(ARGV[first + 1]) and tokens or nil
end

-- Lowers the entries to the answer; the result is what the record keeps of it.
local function shorten_to(first, entries, tokens)
  local amounts = {}
  for i, entry in ipairs(entries) do
    local base, per_token = fit_term(first, i)
    entry.amount = math.min(entry.amount, base + per_token * tokens)
    entry.amount_text = string.format('%.0f', entry.amount)
    amounts[i] = entry.amount_text
  end
  return string.format(';%.0f;', tokens) .. table.concat(amounts, ',')
end

