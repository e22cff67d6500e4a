-- One page of the keys of a large inbox: HSCAN without the values, which are
-- most of the bytes.
--
-- KEYS[1]  inbox
-- ARGV[1]  cursor ("0": from the start), ARGV[2] about how many
--
-- Reply: {next cursor ("0": that was all), key, key, ...}

local page = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local reply = {page[1]}

for i = 1, #page[2], 2 do
  reply[#reply + 1] = page[2][i]
end

return reply
