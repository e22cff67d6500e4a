-- Says that a node holds sessions of some users, or goes on holding them.
--
-- ARGV[1]  prefix of inbox keys   ARGV[2]  prefix of all other keys
-- ARGV[3]  the node               ARGV[4]  life of the entry, ms
-- ARGV[5] ... users
--
-- An entry counts only while its node has a lease (renew.lua): its own life
-- is there to clear away what dead nodes leave behind, and may be long. They
-- are looked for when an entry is renewed.

local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local past, ends = string.format('%d', now), string.format('%d', now + ARGV[4])
local prefix = ARGV[2] .. 'presence:{' .. ARGV[1]

for i = 5, #ARGV do
  local key = prefix .. ARGV[i] .. '}'
  if call('ZADD', key, ends, ARGV[3]) == 0 then
    call('ZREMRANGEBYSCORE', key, '-inf', past)
  end
  call('PEXPIRE', key, ARGV[4])
end

return #ARGV - 4
