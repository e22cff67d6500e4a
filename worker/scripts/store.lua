-- Stores one message for one batch of its recipients: all of them or none.
--
-- KEYS[1]  marker of the message: which of its batches are stored
-- KEYS[2]  leases of the nodes (zset: node -> end of its lease, ms)
-- ARGV[1]  prefix of inbox keys       ARGV[2]  prefix of all other keys
-- ARGV[3]  the calling node           ARGV[4]  life of the marker, ms
-- ARGV[5]  life of an inbox, ms
-- ARGV[6]  most messages, ARGV[7] most bytes in an inbox (0: no limit)
-- ARGV[8]  number of this batch (from 1), ARGV[9] of how many
-- ARGV[10] message id, ARGV[11] news before and ARGV[12] after the recipient
-- ARGV[13] how many recipients are JSON numbers: those come first
-- ARGV[14] ... recipients
--
-- Reply, one string:
--   "<sequence> <sequence> ..."  stored, in the order of the recipients
--   "D"        this batch was stored before
--   "P<n>"     an earlier attempt has split the message into n batches
--   "F<user>"  the inbox of this user is full; nothing was written
--
-- Keys of a recipient are made from its inbox key and are in its cluster slot.

local call, pcall = redis.call, redis.pcall
local format, sub, find = string.format, string.sub, string.find

local inboxPrefix, prefix, node = ARGV[1], ARGV[2], ARGV[3]
local maxMessages, maxBytes = tonumber(ARGV[6]), tonumber(ARGV[7])
local batch, batches = tonumber(ARGV[8]), ARGV[9]
local numbers = tonumber(ARGV[13])
local first = 14
local count = #ARGV - first + 1

-- Redis' Lua stack holds some 8000 values.
local slice = 2000

local done = call('GET', KEYS[1])
if done then
  local split, bits = string.match(done, '^(%d+):(%d+)$')
  if not find(bits, '0', 1, true) then return 'D' end
  if split ~= batches then return 'P' .. split end
  if sub(bits, batch, batch) == '1' then return 'D' end
  done = bits
else
  done = string.rep('0', tonumber(batches))
end

local time = call('TIME')
local micros = time[1] * 1000000 + time[2]

-- Counters: what is missing starts at the time in microseconds, which is
-- above every number that was handed out before it went missing.
local boxes, counters, sequences = {}, {}, {}
for i = 1, count do
  local box = inboxPrefix .. ARGV[first + i - 1]
  boxes[i] = box
  counters[i] = prefix .. 'seq:{' .. box .. '}'
end
for from = 1, count, slice do
  local to = math.min(from + slice - 1, count)
  local values = call('MGET', unpack(counters, from, to))
  for i = from, to do
    local value = values[i - from + 1]
    sequences[i] = value and value + 1 or micros
  end
end

-- Limits, before anything is written. A large limit is looked at for each
-- 16th number of a user: what is refused takes no number, so that a full inbox
-- stays full, and exceeds its limit by 15 messages at most.
if maxMessages > 0 or maxBytes > 0 then
  local step = (maxMessages == 0 or maxMessages > 1024) and 16 or 1
  for i = 1, count do
    if sequences[i] % step == 0 then
      local box = boxes[i]
      local full = maxMessages > 0 and call('HLEN', box) >= maxMessages
      if not full and maxBytes > 0 then
        full = (call('MEMORY', 'USAGE', box) or 0) >= maxBytes
      end
      if full then return 'F' .. ARGV[first + i - 1] end
    end
  end
end

-- The inboxes. An inbox that cannot be written (another type under its key)
-- takes back what was written before it: the message is stored as a whole.
local field, before, after = '-' .. ARGV[10], ARGV[11], ARGV[12]
local life = ARGV[5]
local escapes = {['"'] = '\\"', ['\\'] = '\\\\'}
local function escape(char)
  return escapes[char] or format('\\u%04x', string.byte(char))
end
for i = 1, count do
  local sequence = format('%d', sequences[i])
  local recipient = ARGV[first + i - 1]
  if i > numbers then
    if find(recipient, '[%c"\\]') then
      recipient = string.gsub(recipient, '[%c"\\]', escape)
    end
    recipient = '"' .. recipient .. '"'
  end
  local reply = pcall('HSET', boxes[i], sequence .. field,
                      before .. recipient .. after)
  if type(reply) == 'table' then
    for j = 1, i - 1 do
      call('HDEL', boxes[j], sequences[j] .. field)
    end
    return reply
  end
  call('PEXPIRE', boxes[i], life)
  sequences[i] = sequence
end

for from = 1, count, slice do
  local pairs_ = {}
  for i = from, math.min(from + slice - 1, count) do
    pairs_[#pairs_ + 1] = counters[i]
    pairs_[#pairs_ + 1] = sequences[i]
  end
  call('MSET', unpack(pairs_))
end

-- The doorbells of other nodes, each with those recipients that it holds.
local others
for _, name in ipairs(call('ZRANGEBYSCORE', KEYS[2],
                           format('(%d', micros / 1000), '+inf')) do
  if name ~= node then
    others = others or {}
    others[name] = {}
  end
end
if others then
  for i = 1, count do
    local holders = call('ZRANGE', prefix .. 'presence:{' .. boxes[i] .. '}',
                         0, -1)
    for _, name in ipairs(holders) do
      local list = others[name]
      if list then
        local user = ARGV[first + i - 1]
        list[#list + 1] = (i > numbers and 's' or 'n') .. #user .. ':' ..
                          user .. sequences[i]
      end
    end
  end
  for name, list in pairs(others) do
    if #list > 0 then
      local stream = prefix .. 'node:' .. name
      call('XADD', stream, 'MAXLEN', '~', '10000', '*',
           'n', call('INCR', stream .. ':count'), 'm', ARGV[10],
           'b', before, 'a', after, 'r', table.concat(list, ' '))
    end
  end
end

done = sub(done, 1, batch - 1) .. '1' .. sub(done, batch + 1)
call('SET', KEYS[1], batches .. ':' .. done, 'PX', ARGV[4])

return table.concat(sequences, ' ')
