-- What stands in an inbox, and the counter at the same moment.
--
-- KEYS[1]  inbox            KEYS[2]  counter of its user
-- ARGV[1]  number up to which the caller knows everything
-- ARGV[2]  most keys to return
--
-- Reply: {counter ("0": none), number of messages, key, key, ...}. No keys
-- when nothing is above ARGV[1], and none when there are more than ARGV[2]:
-- those are read in pages (scan.lua).

local last = redis.call('GET', KEYS[2]) or '0'
local after = tonumber(ARGV[1])

if after > 0 and tonumber(last) <= after then
  return {last, 0}
end

local count = redis.call('HLEN', KEYS[1])

if count == 0 or count > tonumber(ARGV[2]) then
  return {last, count}
end

return {last, count, unpack(redis.call('HKEYS', KEYS[1]))}
