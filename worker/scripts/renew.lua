-- Renews the lease of a node and clears away nodes that are long dead.
--
-- KEYS[1]  leases of the nodes (zset: node -> end of its lease, ms)
-- ARGV[1]  the node          ARGV[2]  lease, ms
-- ARGV[3]  prefix of keys    ARGV[4]  id up to which the node has read its
--                                     stream ("": nothing to clear away)
--
-- Reply: 1 when the lease was still running, 0 when it was new or had run
-- out: the other nodes have then rung no doorbell here for some time.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = tonumber(ARGV[2])
local stream = ARGV[3] .. 'node:' .. ARGV[1]

local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], string.format('%d', now + lease), ARGV[1])

if ARGV[4] ~= '' then
  redis.call('XTRIM', stream, 'MINID', '~', ARGV[4])
end

-- A node that dies leaves its stream behind for three leases.
redis.call('PEXPIRE', stream, 3 * lease)
redis.call('PEXPIRE', stream .. ':count', 3 * lease)

local dead = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf',
                        string.format('%d', now - 3 * lease))
for _, name in ipairs(dead) do
  local left = ARGV[3] .. 'node:' .. name
  redis.call('UNLINK', left, left .. ':count')
  redis.call('ZREM', KEYS[1], name)
end

return (ends and tonumber(ends) > now) and 1 or 0
