-- What stands in inboxes, and the counters at the same moment.
--
-- KEYS[1]  inbox            KEYS[2]  counter of its user; and so on
-- ARGV[1]  most keys to return in all
-- ARGV[2] ...  for each inbox: the number up to which the caller knows
--              everything
--
-- Reply: for each inbox {counter ("0": none), number of messages, key, key,
-- ...}. No keys when the counter is not above that number, nor when there are
-- more than ARGV[1]: those are read in pages (scan.lua). The reply ends before
-- the inbox that would bring it above ARGV[1]: ask for it again.

local call = redis.call
local most, reply = tonumber(ARGV[1]), {}

local counters = {}
for i = 2, #KEYS, 2 do
  counters[#counters + 1] = KEYS[i]
end
counters = call('MGET', unpack(counters))

for i = 1, #counters do
  local inbox, last = KEYS[2 * i - 1], counters[i] or '0'
  local after = tonumber(ARGV[i + 1])

  if after > 0 and tonumber(last) <= after then
    reply[i] = {last, 0}
  else
    local count = call('HLEN', inbox)
    if count == 0 or count > tonumber(ARGV[1]) then
      reply[i] = {last, count}
    elseif count > most then
      return reply
    else
      most = most - count
      reply[i] = {last, count, unpack(call('HKEYS', inbox))}
    end
  end
end

return reply
